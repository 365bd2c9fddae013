"""The node's trades and periods, from its journal and the store."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from trading_assets.core.candles import Market, timeframe_delta
from trading_assets.journal import JOURNAL_FILE, coin_markets, read_session, read_sessions
from trading_assets.performance.periods import of_curve
from trading_assets.performance.sessions import Session, history, told_once
from trading_assets.performance.trades import READ, Events, live_trades
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import (
    ACCOUNT_EQUITY,
    CANDLES,
    FILLS,
    LIVE_FUNDING,
    LIVE_TRADES,
    PERFORMANCE,
    SIGNALS,
)

_BEFORE = timedelta(days=1)
"""Candles are read from so long before the first fill: the bar that was decided on is among them."""


def journalled(settings: Settings) -> Events:
    """The events of the node's newest session; a journal begun by another version reads like any other."""
    return read_session(settings.live_dir / JOURNAL_FILE)


def node_of(events: Events) -> str:
    """The node that wrote them; empty where nothing was decided or filled."""
    names = (events[kind]["node"] for kind in (SIGNALS.name, FILLS.name, ACCOUNT_EQUITY.name))
    return next((str(one[0]) for one in names if one.len()), "")


def trades_of(store: Store, settings: Settings, events: Events) -> pl.DataFrame:
    """The closed trades of a session, with what the stored candles and payments say of them."""
    fills = events[FILLS.name]
    if fills.is_empty():
        return pl.DataFrame(schema=LIVE_TRADES.columns)
    first = fills["ts"].min()
    assert isinstance(first, datetime)
    traded = [market for market in fills["market"].unique().sort() if market in settings.markets]
    candles = {market: finest(store, settings, market, first - _BEFORE) for market in traded}
    coins = {market: finest(store, settings, market, first - _BEFORE) for market in _priced(settings, fills)}
    reckoned = store.read(LIVE_FUNDING, where={"node": node_of(events)})
    return live_trades(events, candles, settings.trading.costs, reckoned=reckoned, coins=coins)


def _priced(settings: Settings, fills: pl.DataFrame) -> list[str]:
    """The markets of the settings that say what coins are worth that fees were taken in."""
    wanted = coin_markets(fills)
    return [market for market in settings.markets if _spot_name(market) in wanted]


def _spot_name(market: str) -> str:
    parsed = Market.parse(market)
    return f"{parsed.exchange}:{parsed.base}/{parsed.quote}"


def finest(store: Store, settings: Settings, market: str, start: datetime) -> pl.DataFrame:
    """A market's finest stored candles from an instant on, with their ``end``."""
    timeframe = settings.markets[market].timeframe
    found = store.read(CANDLES, where={"market": market, "timeframe": timeframe}, start=start)
    return found.with_columns(end=pl.col("ts") + timeframe_delta(timeframe))


def measure(store: Store, settings: Settings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of ``live_trades`` of all sessions, and of ``performance`` of the account that the newest one trades."""
    sessions = [Session(events) for events in read_sessions(settings.live_dir / JOURNAL_FILE, READ)]
    made = told_once(sessions, [trades_of(store, settings, one.events) for one in sessions])
    node = next((name for one in sessions if (name := node_of(one.events))), "")
    mine, start, curve = history(sessions, made, starting_balance=settings.node.starting_balance)
    trades = pl.concat([pl.DataFrame(schema=LIVE_TRADES.columns), *made]).sort("entry_ts", "market")
    return trades, of_curve(mine, start, curve, node=node)


def keep(store: Store, trades: pl.DataFrame, performance: pl.DataFrame) -> None:
    """Write them in place of what was known of their node."""
    for node in {*trades["node"], *performance["node"]}:
        mine = pl.col("node") == node
        parts = [(LIVE_TRADES, trades.filter(mine)), (PERFORMANCE, performance.filter(mine))]
        store.replace_together(parts, where={"node": node})
