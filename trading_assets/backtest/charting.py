"""The interactive pages: of a judged backtest, and of what a node traded. One component draws both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.backtest import monte_carlo
from trading_assets.backtest.candle_paths import by_paths
from trading_assets.backtest.metrics import daily_returns
from trading_assets.backtest.monte_carlo import Bands
from trading_assets.backtest.report import account_charts
from trading_assets.backtest.report.chart import Figure
from trading_assets.backtest.report.executions import Executions, levels_of, parts_of, rows_of, trades_of
from trading_assets.backtest.report.files import chart_file, node_chart_file
from trading_assets.backtest.report.interactive import trade_views, write_interactive
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.core.candles import Market, timeframe_delta
from trading_assets.core.errors import TradingError
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, FILLS, ORDERS

_PRICES: Final = ("ts", "open", "high", "low", "close")
_BESIDE: Final = timedelta(days=1)
"""Candles before the first trade and after the last one of a node."""


def write_chart(
    result: BacktestResult, settings: Settings, store: Store, *, model: str, version: int, created_at: datetime
) -> Path:
    """Write the interactive page of a backtest beside its report.

    Parameters
    ----------
    result
        With the journal's orders and fills.
    model, version
        Whose.
    created_at
        Printed; UTC.
    """
    markets, balance = settings.models[model].markets, settings.simulation.starting_balance
    synthetic = [market for market in markets if Market.parse(market).is_synthetic]
    note = _note(synthetic)
    candles = _candles(settings, store, markets, result.start, result.end)
    executions = executions_of(result)
    views = trade_views(candles, executions, note=note)
    paths = by_paths(
        result.trades,
        executions.levels,
        candles,
        candle_step=timeframe_delta(settings.markets[markets[0]].timeframe),
        labels=settings.labels_of(model),
        exits=settings.models[model].exit_plan,
        starting_balance=balance,
    )
    return write_interactive(
        views,
        chart_file(settings.reports_dir, model, version),
        title=f"{model} version {version}: trades on their candles",
        lead=f"Out-of-sample backtest of {', '.join(markets)}, {result.start:%Y-%m-%d} to {result.end:%Y-%m-%d} UTC.",
        synthetic=synthetic,
        figures=account_figures(result, balance=balance, paths=paths, note=note),
        created_at=created_at,
    )


def executions_of(result: BacktestResult) -> Executions:
    """What a backtest's journal says of its trades."""
    orders = rows_of(result.orders, "orders")
    parts = parts_of(rows_of(result.fills, "fills"), orders)
    funding = result.funding.select("signal_id", "ts", "amount", "rate")
    return Executions(result.trades, parts, levels_of(orders), funding)


def account_figures(
    result: BacktestResult, *, balance: float, paths: Bands | None = None, note: str = ""
) -> list[Figure]:
    """The account's pictures in the page's order; ``paths`` are accounts of the same entries on other candles."""
    daily = daily_returns(result.equity["equity"].to_list(), balance)
    drawn = monte_carlo.simulate(result.trades, daily, starting_balance=balance)
    found = [
        account_charts.equity(result.equity, result.benchmark, starting_balance=balance, note=note),
        account_charts.months(result.equity, starting_balance=balance, note=note),
        account_charts.rolling(result.equity, starting_balance=balance, note=note),
        *(account_charts.fan(way, bands, note=note) for way, bands in drawn.items() if way != "order"),
        account_charts.fan("paths", paths, note=note) if paths is not None else None,
        account_charts.excursions(result.trades, note=note),
    ]
    return [figure for figure in found if figure is not None]


def write_node_chart(settings: Settings, store: Store, node: str, *, created_at: datetime) -> Path:
    """Write the interactive page of what a node traded, on paper or live, from its orders and fills in the store.

    Raises
    ------
    TradingError
        If the store has no fill of it.
    """
    fills = store.read(FILLS, where={"node": node})
    if fills.is_empty():
        known = store.read(FILLS, columns=["node"])["node"].unique().sort().to_list()
        raise TradingError(
            f"no fills of node {node!r} are stored",
            where="report",
            remedy=f"stored are those of {', '.join(known)}" if known else "let it trade, then materialize `fills`",
        )
    orders = store.read(ORDERS, where={"node": node})
    parts = parts_of(fills, orders)
    executions = Executions(trades_of(parts, fills), parts, levels_of(orders))
    markets = fills["market"].unique().sort().to_list()
    synthetic = [market for market in markets if Market.parse(market).is_synthetic]
    first, last = fills["ts"].min(), fills["ts"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return write_interactive(
        trade_views(
            _candles(settings, store, markets, first - _BESIDE, last + _BESIDE), executions, note=_note(synthetic)
        ),
        node_chart_file(settings.reports_dir, node),
        title=f"Node {node}: trades on their candles",
        lead=f"What the node did in {', '.join(markets)}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC.",
        synthetic=synthetic,
        created_at=created_at,
    )


def _candles(
    settings: Settings, store: Store, markets: list[str], start: datetime, end: datetime
) -> Mapping[str, pl.DataFrame]:
    def of(market: str) -> pl.DataFrame:
        where: dict[str, Any] = {"market": market, "timeframe": settings.markets[market].timeframe}
        return store.read(CANDLES, where=where, start=start, end=end, columns=list(_PRICES))

    return {market: of(market) for market in markets if market in settings.markets}


def _note(synthetic: list[str]) -> str:
    return " (SYNTHETIC)" if synthetic else ""
