"""The interactive page: what it draws, that Plotly takes it, that it needs nothing but itself, and stays small."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.backtest.worlds import MINUTE, START, A, B, backtest, candles, flat, random_signals, signals, walk
from trading_assets.backtest.charting import account_figures, executions_of, write_node_chart
from trading_assets.backtest.report import chart
from trading_assets.backtest.report.executions import Executions, levels_of, parts_of, rows_of, trades_of
from trading_assets.backtest.report.interactive import (
    MAX_TRADES,
    chosen_trades,
    plotly_script,
    trade_views,
    write_interactive,
)
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.core.errors import TradingError
from trading_assets.settings import load_settings
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, FILLS, ORDERS

NOW = datetime(2025, 6, 1, 12, 30, tzinfo=UTC)
MINUTES = 60 * 24 * 10
WALK = walk(MINUTES, seed=2)


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    return backtest(random_signals(A, MINUTES, seed=2), {A: WALK})


@pytest.fixture(scope="module")
def executions(result: BacktestResult) -> Executions:
    return executions_of(result)


def page(result: BacktestResult, folder: Path, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "title": "test",
        "lead": "a walk",
        "synthetic": [],
        "figures": account_figures(result, balance=100_000.0),
        "created_at": NOW,
    }
    views = trade_views({A: WALK}, executions_of(result))
    return write_interactive(views, folder / "1-chart.html", **(arguments | changes)).read_text(encoding="utf-8")


def payload(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', text, re.DOTALL)
    assert found
    told: dict[str, Any] = json.loads(found[1])
    return told


def traces(figure: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {trace["name"]: trace for trace in figure["data"]}


def test_a_trade_shows_its_entry_stop_target_and_exit_where_the_journal_has_them() -> None:
    up = candles([*flat(15), (100, 100.5, 99.6, 100), (100, 103, 100, 103), *flat(60, 103)])
    made = backtest(signals((A, 0, 0.7)), {A: up})
    trade = made.trades.row(0, named=True)
    drawn = traces(chart.one_trade(1, trade["signal_id"], up, executions_of(made)))
    assert drawn["Stop"]["y"][:2] == [99.0, 99.0]
    assert drawn["Target"]["y"][:2] == [102.0, 102.0]
    assert drawn["Entry long"]["y"] == [100.0]
    assert drawn["Target filled"]["y"] == [102.0]
    assert drawn["Target filled"]["x"] == [trade["exit_ts"].strftime("%Y-%m-%d %H:%M:%S")]
    assert drawn["Stop"]["x"][1] <= drawn["Target filled"]["x"][0], "levels end with the trade"


def order(number: int, minute: int, status: str, price: float | None, purpose: str = "stop_loss") -> dict[str, Any]:
    return {
        "ts": START + minute * MINUTE, "market": A, "order_id": f"o{number}", "signal_id": "s", "purpose": purpose,
        "side": "sell", "order_type": "stop_market", "quantity": 2.0, "price": price, "status": status, "reason": "",
    }  # fmt: skip


def fill(number: int, minute: int, side: str, price: float, quantity: float) -> dict[str, Any]:
    return {
        "ts": START + minute * MINUTE, "market": A, "order_id": f"o{number}", "trade_id": f"t{number}-{minute}",
        "signal_id": "s", "side": side, "quantity": quantity, "price": price, "fee": 0.1, "fee_currency": "USDT",
    }  # fmt: skip


def test_a_stop_that_moves_has_a_line_for_each_price_it_rested_at() -> None:
    moved = [order(1, 0, "accepted", 99.0), order(1, 5, "updated", 100.0), order(1, 9, "filled", 100.0)]
    replaced = [order(2, 0, "accepted", 98.0), order(2, 4, "canceled", 98.0), order(3, 4, "accepted", 97.0)]
    found = levels_of(rows_of([*moved, *replaced, order(4, 0, "accepted", None, "exit")], "orders"))
    at = {price: ((start - START) // MINUTE, (end - START) // MINUTE) for _, _, start, end, price in found.rows()}
    assert at[99.0] == (0, 5)
    assert at[100.0] == (5, 9)
    assert at[98.0] == (0, 4)


def test_round_trips_of_a_node_come_from_fills_alone_and_an_open_one_has_no_exit() -> None:
    orders = rows_of([order(1, 0, "filled", None, "entry"), order(2, 3, "filled", 102.0, "take_profit")], "orders")
    some = [fill(1, 0, "buy", 100.0, 1.0), fill(1, 1, "buy", 102.0, 1.0), fill(2, 3, "sell", 103.0, 1.0)]
    partly = rows_of(some, "fills")
    row = trades_of(parts_of(partly, orders), partly).row(0, named=True)
    assert (row["side"], row["entry_price"], row["quantity"], row["exit_reason"]) == ("long", 101.0, 2.0, "open")
    assert row["exit_ts"] is row["pnl"] is row["return"] is None
    fills = rows_of([*some, fill(9, 5, "sell", 105.0, 1.0)], "fills")
    closed = trades_of(parts_of(fills, orders), fills).row(0, named=True)
    assert (closed["exit_price"], closed["exit_reason"]) == (104.0, "exit")
    assert closed["pnl"] == pytest.approx(6 - 0.4)
    assert closed["exit_ts"] == START + 5 * MINUTE


def test_a_nodes_round_trips_are_those_of_the_backtest_that_wrote_the_same_journal(
    result: BacktestResult, executions: Executions
) -> None:
    fills = rows_of(result.fills, "fills")
    found = trades_of(executions.parts, fills)
    for name in ("signal_id", "entry_ts", "exit_ts", "entry_price", "exit_price", "quantity"):
        assert (
            found[name].to_list() == pytest.approx(result.trades[name].to_list())
            if name.endswith("price")
            else (found[name].to_list() == result.trades[name].to_list())
        ), name
    assert found["pnl"].to_list() == pytest.approx(result.trades["pnl"].to_list())


def test_funding_and_open_trades_are_drawn(executions: Executions) -> None:
    trade = executions.trades.row(0, named=True)
    paid = pl.DataFrame(
        {"signal_id": [trade["signal_id"]], "ts": [trade["entry_ts"]], "amount": [-1.5], "rate": [0.0001]}
    )
    drawn = traces(chart.one_trade(1, trade["signal_id"], WALK, replace(executions, funding=paid)))
    assert drawn["Funding"]["text"] == ["funding -1.5000, rate +0.0100%"]
    nothing = pl.lit(None)
    still = (
        executions.trades.head(1)
        .with_columns(
            exit_ts=nothing.cast(pl.Datetime("us", "UTC")),
            exit_price=nothing.cast(pl.Float64),
            pnl=nothing.cast(pl.Float64),
        )
        .with_columns(nothing.cast(pl.Float64).alias("return"))
    )
    figure = chart.one_trade(1, trade["signal_id"], WALK, replace(executions, trades=still))
    assert "open" in figure["layout"]["title"]["text"]
    assert chart.all_trades(A, WALK, replace(executions, trades=still))["data"]


def test_a_long_history_is_joined_to_few_candles_that_keep_every_high_and_low() -> None:
    few = chart.decimated(WALK, 100)
    assert few.height <= 100
    assert (few["high"].max(), few["low"].min()) == (WALK["high"].max(), WALK["low"].min())
    assert (few["open"][0], few["close"][-1]) == (WALK["open"][0], WALK["close"][-1])
    assert chart.decimated(WALK.head(50), 100).height == 50


def test_of_many_trades_the_best_the_worst_the_newest_and_some_between_are_shown(result: BacktestResult) -> None:
    shown = chosen_trades(result.trades, 12)
    assert shown.height == 12
    assert result.trades["return"].max() in shown["return"]
    assert result.trades["return"].min() in shown["return"]
    assert shown["number"].max() == result.trades.height
    assert shown["number"].is_sorted()
    assert chosen_trades(result.trades.head(5)).height == 5
    assert result.trades.height > MAX_TRADES


def test_the_page_is_one_file_that_loads_nothing_and_stays_small(result: BacktestResult, tmp_path: Path) -> None:
    text = page(result, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["1-chart.html"]
    assert len(text.encode()) < 4_000_000
    assert not re.search(r"""(src|href)\s*=\s*["']""", text)
    assert not re.search(r"https?://", text.replace(plotly_script(), "")), "nothing is asked for"
    assert "modeBarButtons: [buttons]" in text, "Plotly's own list has one that sends the chart to its cloud"
    assert "sendChartToCloud" not in text
    script = gzip.decompress(base64.b64decode(plotly_script())).decode()
    assert "plotly.js v" in script[:200]


def test_plotly_takes_every_figure(result: BacktestResult, tmp_path: Path) -> None:
    from plotly import graph_objects

    told = payload(page(result, tmp_path))
    figures = [*told["views"][:3], *told["figures"]]
    assert len(told["views"]) == 1 + MAX_TRADES
    for figure in figures:
        graph_objects.Figure({"data": figure["data"], "layout": figure["layout"]})  # raises on what it does not know
        assert figure["layout"]["title"]["text"]
        for axis in ("xaxis", "yaxis") if figure["data"][0]["type"] != "pie" else ():
            assert figure["layout"][axis]["title"]["text"], "every axis says what it shows"
    shown = [figure["layout"]["title"]["text"] for figure in told["figures"]]
    assert any("Equity" in one for one in shown)
    assert any("Monthly" in one for one in shown)
    assert any("Monte Carlo" in one for one in shown)


def test_the_page_says_synthetic_and_escapes_names(result: BacktestResult, tmp_path: Path) -> None:
    text = page(result, tmp_path, synthetic=[A], title="</script><b>x")
    assert "SYNTHETIC DATA" in text
    assert "</script><b>x" not in text
    named = executions_of(result).trades.with_columns(exit_reason=pl.lit("</script><script>x"))
    views = trade_views({A: WALK}, replace(executions_of(result), trades=named.head(3)))
    file = write_interactive(views, tmp_path / "x.html", title="t", lead="", synthetic=[], created_at=NOW)
    assert "</script><script>x" not in file.read_text()


def test_what_a_node_traded_is_drawn_by_the_same_component(result: BacktestResult, tmp_path: Path) -> None:
    settings = load_settings().model_copy(update={"data_dir": tmp_path})
    market = next(iter(settings.markets))
    timeframe = settings.markets[market].timeframe
    store = open_store(settings.store_url)
    here = {"node": pl.lit("paper"), "seq": pl.int_range(pl.len()), "market": pl.lit(market)}
    for table, kind, rows in ((FILLS, "fills", result.fills), (ORDERS, "orders", result.orders)):
        store.upsert(table, rows_of(rows, kind).with_columns(**here).select(*table.columns))
    kept = WALK.with_columns(market=pl.lit(market), timeframe=pl.lit(timeframe))
    store.upsert(CANDLES, pl.concat([pl.DataFrame(schema=CANDLES.columns), kept], how="diagonal"))
    text = write_node_chart(settings, store, "paper", created_at=NOW).read_text()
    assert "Node paper" in text
    assert len(payload(text)["views"]) == 1 + MAX_TRADES
    with pytest.raises(TradingError, match="no fills of node 'papper' are stored") as refused:
        write_node_chart(settings, store, "papper", created_at=NOW)
    assert "paper" in str(refused.value)


def test_a_market_without_candles_and_no_trades_make_a_page_too(result: BacktestResult, tmp_path: Path) -> None:
    nothing = replace(executions_of(result), trades=result.trades.head(0))
    assert [view.group for view in trade_views({A: WALK, B: WALK.head(0)}, nothing)] == ["All trades"]
    assert trade_views({}, executions_of(result)) == []
    empty = backtest(signals((A, 0, 0.1)), {A: candles(flat(100))})
    assert "Equity" in page(empty, tmp_path)
    assert timedelta(0) <= empty.end - empty.start
