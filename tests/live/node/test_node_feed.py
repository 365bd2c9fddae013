"""A node whose venue sends bars that cannot be believed, and then none at all."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets.settings import LabelSettings
from trading_live.replay.tape import Kline

HOUR_MS = 3_600_000


def scaled(bar: Kline, **factors: float) -> Kline:
    """A bar with some of its prices multiplied."""
    names = ("open", "high", "low", "close")
    prices = [f"{float(text) * factors.get(name, 1.0):.2f}" for name, text in zip(names, bar.texts, strict=False)]
    return replace(bar, texts=(prices[0], prices[1], prices[2], prices[3], bar.texts[4]))


def once(change: Callable[[Kline], Kline], interval: str = "1m") -> Callable[[Kline], Kline]:
    """Spoil the next bar of an interval, and no other."""
    done: list[Kline] = []

    def spoil(bar: Kline) -> Kline:
        if done or bar.interval != interval:
            return bar
        done.append(bar)
        return change(bar)

    return spoil


def silent_streams(one: Desk) -> int:
    return len(one.told("feed silent")) - len(one.told("feed heard again"))


def hundredfold(bar: Kline) -> Kline:
    return scaled(bar, open=100, high=100, low=100, close=100)


def zero_low(bar: Kline) -> Kline:
    return scaled(bar, low=0)


def future(bar: Kline) -> Kline:
    return replace(bar, open_ms=bar.open_ms + 48 * HOUR_MS, close_ms=bar.close_ms + 48 * HOUR_MS)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    labels = LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=400)
    with desk(tmp_path_factory.mktemp("feed"), live_store_file, speed=900, hours=40) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=labels))
        process = one.start()
        try:
            wait_for(lambda: one.protected, while_alive=process)
            for number, fault in enumerate((hundredfold, zero_low, future), 1):
                one.server.spoil(once(fault))
                wait_for(lambda n=number: len(one.told("feed trusted again")) == n, while_alive=process)
            one.notes["quarantined"] = one.told("feed quarantined")
            one.server.spoil(lambda _: None)
            wait_for(lambda: (beat := one.status().heartbeat) and beat.state == "silent", while_alive=process)
            wait_for(lambda: silent_streams(one) == 2, while_alive=process)  # 1m and 15m, whichever is first
            one.notes["silent"] = one.status()
            one.server.spoil(lambda bar: bar)
            wait_for(lambda: silent_streams(one) == 0, while_alive=process)
            decided = one.signals().height
            wait_for(lambda: one.signals().height > decided + 1, while_alive=process)
            wait_for(lambda: (beat := one.status().heartbeat) and beat.state == "trading", while_alive=process)
            process.send_signal(signal.SIGTERM)
            one.notes["end"] = finish(process)
        finally:
            process.kill()
        yield one


def test_each_implausible_bar_is_named_with_what_is_wrong_with_it(day: Desk) -> None:
    hundredfold, zero, future = day.notes["quarantined"]
    assert "% from the last close" in hundredfold
    assert "its low is 0" in zero
    assert "s in the future, limit 5 s" in future


def test_an_implausible_bar_halts_nothing_and_the_node_neither_enters_nor_closes_on_it(day: Desk) -> None:
    assert day.told("halted") == []
    assert day.notes["end"][0] == 0, day.notes["end"][1]
    orders, fills = day.journal()["orders"], day.journal()["fills"]
    assert orders.filter(pl.col("purpose") == "exit").is_empty()
    assert fills.filter(pl.col("side") == "buy")["price"].is_between(50, 90).all()


def test_a_fill_that_the_sandbox_made_on_an_implausible_bar_is_told_of(day: Desk) -> None:
    (doubt, *_) = day.told("fill in doubt")
    order, side, _ = doubt.removeprefix(f"{MARKET}: ").split(": ")[:3]
    fill = day.journal()["fills"].filter(pl.col("order_id") == order)
    assert side.split()[0] == fill["side"][0] == "sell"
    assert doubt.endswith("is not believed")


def test_a_mute_venue_is_told_by_journal_heartbeat_and_status(day: Desk) -> None:
    beat = day.notes["silent"].heartbeat
    assert beat.state == "silent"
    assert beat.waiting[MARKET].startswith("silent: no ")
    assert {text.split("no ")[1].split()[0] for text in day.told("feed silent")} == {"1m", "15m"}


def test_after_the_silence_it_decides_again_on_whole_history(day: Desk) -> None:
    bars = day.signals()["bar_ts"]
    assert bars.is_unique().all()
    recovered = [text.split(": ")[1].split(" of ") for text in day.told("bars recovered")]
    assert recovered
    assert all(found == wanted for found, wanted in recovered)
    assert (day.signals()["bar_ts"].diff().drop_nulls() > timedelta(minutes=15)).any()
