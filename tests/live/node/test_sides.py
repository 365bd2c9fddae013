"""Long in a world and short in its mirror, each by a node of its own in the sandbox; the second one is killed once."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from tests.live.node.scripted import CENTER
from trading_assets.backtest.round_trips import round_trips
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.core.sides import Side
from trading_assets.defs.live.divergence import divergence_limits, divergence_of_days
from trading_assets.defs.live.performance import live_performance
from trading_assets.divergence.stored import measure
from trading_assets.registry.facts import read_facts
from trading_assets.settings import LabelSettings, ModelSettings
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, DIVERGENCE
from trading_assets.store.tables.outcomes import PARTS
from trading_cli.console import console
from trading_cli.main import app

LABELS = LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=3)
EXACT = {"TRADING_TRADING__COSTS__SLIPPAGE_PROBABILITY": "0", "TRADING_TRADING__SIZING__POSITION_SHARE": "0.001"}
"""Fills mirror where no tick is drawn, and where an order is small beside a candle's volume."""

TRADES = 4
BAR = timedelta(minutes=15)


def mirrored(store_file: Path, to: Path) -> Path:
    """The store whose prices fall where those of another rise."""
    candles = open_store(f"duckdb:///{store_file}").read(CANDLES, where={"market": MARKET})
    turned = candles.with_columns(
        (CENTER - pl.col(name)).round(2).alias(name) for name in ("open", "high", "low", "close")
    )
    turned = turned.rename({"high": "low", "low": "high"}).select(candles.columns)
    open_store(f"duckdb:///{to}").upsert(CANDLES, turned)
    return to


def trips(one: Desk) -> pl.DataFrame:
    events = one.journal()
    return round_trips(events["plans"].to_dicts(), events["fills"].to_dicts(), decision_timeframe="15m").filter(
        pl.col("exit_reason") != ""
    )


def run(one: Desk, *, killed: bool) -> None:
    process = one.start(module="tests.live.node.scripted")
    try:
        if killed:
            one.kill(process, when=lambda: trips(one).height >= 1 and one.protected)
            one.notes["before"] = one.status()
            process = one.start(module="tests.live.node.scripted")
            wait_for(lambda: one.told("position recovered"), while_alive=process)
            wait_for(lambda: one.trades, while_alive=process)
            one.notes["after"] = one.status()
            one.server.go_on()
        one.freeze(lambda: trips(one).height >= TRADES and one.protected, process)  # not on its way into a trade
        process.send_signal(signal.SIGTERM)
        code, output = finish(process)
        assert code == 0, output
    finally:
        process.kill()


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle
) -> Iterator[dict[Side, Desk]]:
    """A desk of each side, both at once."""
    folder = tmp_path_factory.mktemp("sides")
    stores = {Side.LONG: live_store_file, Side.SHORT: mirrored(live_store_file, folder / "mirrored.duckdb")}
    desks = {}
    with ExitStack() as stack:
        for side, store in stores.items():
            further = EXACT | {"SCRIPTED_SIDE": side.word}
            one = stack.enter_context(desk(folder / side.word, store, speed=900, hours=40, further=further))
            put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=LABELS))
            desks[side] = one
        with ThreadPoolExecutor(len(desks)) as pool:
            list(pool.map(lambda one: run(one, killed=one is desks[Side.SHORT]), desks.values()))
        yield desks


def test_the_sandbox_makes_the_mirrored_trades_also_over_a_kill(both: dict[Side, Desk]) -> None:
    long, short = (trips(both[side]).head(TRADES) for side in Side)
    assert set(long["side"]) == {"long"}
    assert set(short["side"]) == {"short"}
    assert len(set(long["exit_reason"])) > 1
    same = ("market", "signal_ts", "entry_ts", "exit_reason")
    assert short.select(same).equals(long.select(same))
    assert (short["entry_price"] + long["entry_price"] - CENTER).abs().max() < 1e-9  # type: ignore[operator]
    assert (short["exit_price"] + long["exit_price"] - CENTER).abs().max() < 1e-9  # type: ignore[operator]
    gross = [(one["pnl"] + one["fees"]) / one["quantity"] for one in (long, short)]
    assert (gross[0] - gross[1]).abs().max() < 1e-6  # type: ignore[operator]


def test_a_short_that_a_kill_interrupts_keeps_its_stop_above_and_its_target_below(both: dict[Side, Desk]) -> None:
    before, after = both[Side.SHORT].notes["before"], both[Side.SHORT].notes["after"]
    (position,) = before.positions
    assert before.running is False
    assert after.positions == before.positions
    assert position.side is Side.SHORT
    assert position.target_price < position.average_price < position.stop_price
    events = both[Side.SHORT].journal()
    mine = events["orders"].filter(pl.col("signal_id") == position.signal_id)
    stops = mine.filter((pl.col("purpose") == "stop_loss") & (pl.col("status") == "accepted"))
    assert stops.height == 2, "sent again after the restart"
    assert set(stops["side"]) == {"buy"}
    assert stops["price"].n_unique() == 1
    closed = events["positions"].filter((pl.col("signal_id") == position.signal_id) & (pl.col("event") == "closed"))
    fills = events["fills"].filter(pl.col("signal_id") == position.signal_id)
    signed = pl.when(pl.col("side") == "buy").then(-pl.col("quantity")).otherwise(pl.col("quantity"))
    flows = fills.select((signed * pl.col("price") - pl.col("fee")).sum()).item()
    assert closed["realized_pnl"].to_list() == [pytest.approx(flows, abs=1e-4)]


@pytest.mark.parametrize("side", list(Side))
def test_the_backtest_of_the_nodes_own_signals_makes_the_same_trades(both: dict[Side, Desk], side: Side) -> None:
    one, traded = both[side], trips(both[side]).head(TRADES)
    said = one.journal()["signals"].select(
        "market", "side", "probability", ts="bar_ts", known_at=pl.col("bar_ts") + BAR
    )
    assert set(said["side"]) == {side.value}
    candles = open_store(one.settings.store_url).read(
        CANDLES, where={"market": MARKET}, start=START - timedelta(days=1)
    )
    scale = 1.0 if side is Side.LONG else (CENTER - 100) / 100
    tested = run_backtest(
        said.with_columns(
            take_profit=pl.lit(LABELS.take_profit_pct / 100 * scale),
            stop_loss=pl.lit(LABELS.stop_loss_pct / 100 * scale),
        ),
        {MARKET: candles},
        candle_timeframe="1m",
        model=ModelSettings(markets=[MARKET], threshold=0.5, min_edge_bps=-1e6),
        labels=LABELS.model_copy(update={"barriers": "atr"}),
        settings=one.settings.simulation,
        risk=one.settings.trading.risk,
    ).trades.head(TRADES)
    bars = ("side", "signal_ts", pl.col("entry_ts").dt.truncate("1m"))
    assert traded.select(bars).rows() == tested.select(bars).rows()


def test_on_paper_the_gap_to_the_backtest_of_the_same_bars_is_explained(both: dict[Side, Desk]) -> None:
    one = both[Side.LONG]
    found = measure(open_store(one.settings.store_url), one.settings)
    assert found.notes == ()
    mine = found.trades.filter(pl.col("live_exit").is_not_null())
    assert mine.height >= TRADES - 1, "the last may be open where the node ended"
    assert set(mine["filled_by"]) == {"paper"}
    total = found.trades.select(pl.sum_horizontal(*PARTS)).to_series()
    assert (total - found.trades["gap_bps"]).abs().max() < 1e-6  # type: ignore[operator]
    assert found.trades["unexplained_bps"].abs().max() <= 1, found.trades.to_dicts()  # type: ignore[operator]
    assert found.trades["gap_bps"].abs().max() < 5, "the sandbox fills as the backtest does"  # type: ignore[operator]


def test_commands_and_assets_show_performance_and_divergence(
    both: dict[Side, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = both[Side.LONG]
    for name in ("TRADING_DATA_DIR", "TRADING_STORE__URL", *EXACT):
        monkeypatch.setenv(name, one.environment[name])
    runner = CliRunner()
    shown = json.loads(runner.invoke(app, ["divergence", "--day", f"{START:%Y-%m-%d}", "--json"]).stdout)
    assert [row["matched"] for row in shown["days"]] == [sum(row["note"] == "" for row in shown["trades"])]
    monkeypatch.setattr(console, "width", 80)
    told = runner.invoke(app, ["divergence"])
    assert told.exit_code == 0
    assert "…" not in told.output, "a narrow terminal cuts no figure off"
    rows = json.loads(runner.invoke(app, ["performance", "--json"]).stdout)
    (whole,) = (row for row in rows if row["period"] == "all")
    assert whole["trades"] >= TRADES - 1
    assert whole["end_equity"] == pytest.approx(100_000, abs=50)
    assert "account      " in runner.invoke(app, ["status"]).output

    store = open_store(f"duckdb:///{one.settings.data_dir / 'assets.duckdb'}")
    store.upsert(CANDLES, open_store(one.settings.store_url).read(CANDLES, where={"market": MARKET}))
    asked = {"settings": one.settings, "store": store}
    trades, _ = live_performance(**asked)
    assert trades.metadata["dagster/row_count"] == whole["trades"]
    made = {str(one.asset_key): one for one in divergence_of_days(dg.build_asset_context(), **asked)}
    assert all("picture" in found.metadata for found in made.values())
    assert store.read(DIVERGENCE).height == len(shown["trades"])
    check = divergence_limits(**asked)
    assert check.passed, check.description
    told = read_facts(one.settings.live_dir)["divergence_bps"]
    assert told == {("node", ""): pytest.approx(0.0, abs=1e-3)}
