"""The local exchange and the node on a market of tiny prices and huge volumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, MakeBundle, put_live, random_walk
from tests.live.desk import Desk, desk, finish
from tests.scaling import rescaled
from trading_assets.backtest.round_trips import round_trips
from trading_assets.core.errors import InvalidFrame
from trading_assets.core.precision import significant
from trading_assets.settings import LabelSettings
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES
from trading_live.replay import Tape
from trading_live.replay.streams import snapshot, trades_of
from trading_live.replay.tape import whole_tape

PRICE, VOLUME = -10, 8
LABELS = LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4)


def tape_of(price: int, volume: int) -> Tape:
    walk = random_walk(MARKET, seed=1, days_before=0, days_after=1)
    return whole_tape({MARKET: rescaled(walk, price, volume)})


@pytest.mark.parametrize(("price", "volume"), [(-12, 8), (-7, 3), (6, -6), (6, 0), (0, 3)])
def test_the_local_exchange_serves_the_same_market_in_any_units(price: int, volume: int) -> None:
    usual, other = (tape_of(*powers).instruments["SYNAUSDT"] for powers in ((0, 0), (price, volume)))
    assert (other.price_decimals, other.volume_decimals) == (2 - price, 3 - volume)
    one, two = (each.series["1m"] for each in (usual, other))
    for number in (0, 500, 1_000):
        assert two.ticks(number) == one.ticks(number)
        assert two.lots(number) == one.lots(number)
        assert (trades_of(other, number).lots == trades_of(usual, number).lots).all()
        for ours, theirs in zip(one.kline(number).texts[:4], two.kline(number).texts[:4], strict=True):
            assert float(theirs) == float(f"{ours}e{price}")
    sides = [snapshot(each, int(one.close_ms[1_000]) + 1, 5)["bids"] for each in (usual, other)]
    for (ours, size), (theirs, other_size) in zip(*sides, strict=True):
        assert float(theirs) == float(f"{ours}e{price}")
        assert float(other_size) == float(f"{size}e{volume}")
    row = json.loads(two.rows(int(two.close_ms[-1]) + 1, start_ms=None, end_ms=None, limit=1))[0]
    assert float(row[4]) > 0
    assert float(row[5]) > 0


def test_what_the_venues_client_cannot_hold_is_refused_by_the_replay() -> None:
    with pytest.raises(InvalidFrame, match=r"SYNA.*: a volume of \S+ is more than the engine holds, 3\.4e\+13"):
        tape_of(0, 12)
    with pytest.raises(InvalidFrame, match="has more decimals than the engine holds, 16"):
        tape_of(-17, 0)


@pytest.fixture(scope="module")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "market.duckdb"
    open_store(f"duckdb:///{path}").upsert(CANDLES, rescaled(random_walk(MARKET, seed=1), PRICE, VOLUME))
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("tiny"), tiny_store, speed=1800, hours=24) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=LABELS))
        process = one.start()
        try:
            one.freeze(lambda: (one.journal()["positions"]["event"] == "closed").sum() >= 2 and one.protected, process)
            one.notes["status"] = one.status()
        finally:
            process.kill()
            finish(process)
        yield one


def test_a_node_trades_a_market_of_tiny_prices_and_huge_volumes(tiny: Desk) -> None:
    events = tiny.journal()
    denied = events["orders"].filter(pl.col("status").is_in(["denied", "rejected"]))
    assert denied.is_empty()
    trips = round_trips(events["plans"].to_dicts(), events["fills"].to_dicts(), decision_timeframe="15m")
    assert trips.height >= 2
    assert set(trips["exit_reason"]) <= {"take_profit", "stop_loss", "time"}
    assert trips["entry_price"].is_between(1e-9, 1e-7).all()


def test_the_status_shows_prices_in_significant_digits(tiny: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading_cli.live import node

    monkeypatch.setattr(node.console, "width", 200)
    monkeypatch.setattr("trading_live.operations.status.read_status", lambda _: tiny.notes["status"])
    with node.console.capture() as printed:
        node.status()
    text = printed.get()
    position = tiny.notes["status"].positions[0]
    for price in (position.average_price, position.stop_price, position.target_price):
        assert 1e-9 < price < 1e-7
        assert f" {significant(price)} " in text  # never 0.0000
