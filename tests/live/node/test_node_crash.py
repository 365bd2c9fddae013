"""A node that the system kills in the middle of a trade, and the one that takes over from its journal."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets.backtest.round_trips import round_trips
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.journal import JOURNAL_FILE, read_since
from trading_assets.settings import LabelSettings, ModelSettings
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    labels = LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=6)
    with desk(tmp_path_factory.mktemp("crash"), live_store_file, speed=1800, hours=40) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=labels))
        process = one.start()
        try:
            one.kill(process, when=lambda: one.protected)
            path = one.settings.live_dir / JOURNAL_FILE
            one.notes["before"] = read_since(path, 0)
            one.notes["status before"] = one.status()
            copy = one.settings.data_dir / "crashed.sqlite"
            for suffix in ("", "-wal", "-shm"):
                if (source := path.with_name(path.name + suffix)).exists():
                    shutil.copy(source, copy.with_name(copy.name + suffix))

            process = one.start()
            wait_for(lambda: one.told("position recovered"), while_alive=process)
            wait_for(lambda: one.trades, while_alive=process)
            one.notes["status after"] = one.status()
            one.server.go_on()
            one.freeze(lambda: _entries(one.journal()) >= 3 and one.protected, process)
            process.send_signal(signal.SIGTERM)
            one.notes["end"] = finish(process)
            one.notes["after"] = read_since(path, 0)
        finally:
            process.kill()
        yield one


def _entries(events: dict[str, pl.DataFrame]) -> int:
    return events["signals"].filter(pl.col("action") == "enter").height


def test_after_a_crash_no_journal_entry_is_lost_or_doubled(crash: Desk) -> None:
    before, after = crash.notes["before"], crash.notes["after"]
    for kind, frame in before.items():
        assert after[kind].head(frame.height).equals(frame), kind
    numbers = pl.concat([frame["seq"] for frame in after.values()]).sort()
    assert numbers.is_unique().all()
    assert after["signals"]["bar_ts"].is_unique().all()
    assert after["fills"].select("order_id", "trade_id").is_unique().all()


def test_after_a_crash_the_node_knows_its_position_with_stop_target_and_expiry(crash: Desk) -> None:
    before, after = crash.notes["status before"], crash.notes["status after"]
    assert before.running is False
    assert len(before.positions) == 1
    assert after.positions == before.positions
    position = after.positions[0]
    assert position.stop_price == pytest.approx(position.average_price * 0.8)
    assert position.target_price == pytest.approx(position.average_price * 1.3)


def test_after_a_crash_the_trade_is_protected_again_and_ends_at_its_expiry(crash: Desk) -> None:
    before, after = crash.notes["before"], crash.notes["after"]
    position = crash.notes["status before"].positions[0]
    newer = after["orders"].filter(pl.col("seq") > max(frame["seq"].max() or 0 for frame in before.values()))
    again = newer.filter((pl.col("signal_id") == position.signal_id) & (pl.col("status") == "accepted"))
    assert set(again["purpose"]) >= {"stop_loss", "take_profit"}
    stop = again.filter(pl.col("purpose") == "stop_loss")
    assert stop["price"].to_list() == [pytest.approx(position.stop_price, abs=0.01)]
    assert stop["quantity"].to_list() == [pytest.approx(position.quantity)]
    lost = newer.filter(pl.col("reason").str.contains("the process ended"))
    assert set(lost["purpose"]) == {"stop_loss", "take_profit"}
    closed = after["positions"].filter((pl.col("signal_id") == position.signal_id) & (pl.col("event") == "closed"))
    assert closed["ts"].to_list() == [position.expires_at]
    fills = after["fills"].filter(pl.col("signal_id") == position.signal_id)
    signed = pl.when(pl.col("side") == "buy").then(-pl.col("quantity")).otherwise(pl.col("quantity"))
    assert closed["realized_pnl"].item() == pytest.approx(
        fills.select((signed * pl.col("price") - pl.col("fee")).sum()).item(), abs=1e-4
    )


def test_the_backtest_of_the_nodes_own_signals_trades_at_the_same_bars(crash: Desk) -> None:
    events = crash.notes["after"]
    predictions = events["signals"].select(
        "market", "probability", ts="bar_ts", known_at=pl.col("bar_ts") + timedelta(minutes=15)
    )
    candles = open_store(crash.settings.store_url).read(
        CANDLES, where={"market": MARKET}, start=START - timedelta(days=1)
    )
    tested = run_backtest(
        predictions,
        {MARKET: candles},
        candle_timeframe="1m",
        model=ModelSettings(markets=[MARKET], threshold=0.0, min_edge_bps=-1e6),
        labels=LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=6),
        settings=crash.settings.simulation,
        risk=crash.settings.trading.risk,
    ).trades
    traded = round_trips(events["plans"].to_dicts(), events["fills"].to_dicts(), decision_timeframe="15m")
    assert traded.height >= 2
    bars = ("signal_ts", pl.col("entry_ts", "exit_ts").dt.truncate("1m"), "exit_reason")
    assert traded.select(*bars).rows() == tested.head(traded.height).select(*bars).rows()


def test_sigterm_ends_the_node_with_code_zero_and_leaves_the_position(crash: Desk) -> None:
    code, output = crash.notes["end"]
    assert code == 0, output
    assert crash.notes["after"]["node"]["event"].to_list()[-1] == "stopped"
    assert len(crash.status().positions) == 1
