"""Companions of a market from the store: what features read beside its bars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import Market
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.auxiliary_series import COMPANIONS
from trading_assets.features.framework.order_flow import of_books, of_trades
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, BOOK_SNAPSHOTS, FUNDING_RATES, PUBLIC_TRADES, SENTIMENT, Table

_DAY: Final = timedelta(days=1)
_LATE: Final = timedelta(minutes=5)
"""How much later than its ``ts`` a recorded row may have become known, at most, to be looked for."""


def read_companions(
    store: Store,
    market: str,
    *,
    timeframe: Timeframe,
    start: datetime,
    end: datetime,
    leader: str | None = None,
    names: Collection[str] = tuple(COMPANIONS),
) -> dict[str, pl.DataFrame]:
    """What is stored for the bars of a market from ``start`` to ``end``; without those of which nothing is stored.

    Parameters
    ----------
    timeframe
        Of the bars.
    start, end
        The first bar's open, and the open of the bar after the last.
    leader
        The leading market, if there is one; a market does not lead itself.
    names
        Which companions: what nobody asks for is not read.
    """
    reads: dict[str, Callable[[], pl.DataFrame | None]] = {
        "leader": lambda: read_leader(store, leader if leader != market else None, timeframe, start, end),
        "funding": lambda: store.read(
            FUNDING_RATES,
            where={"market": market},
            start=start - COMPANIONS["funding"].max_age - _DAY,
            end=end,
            columns=["known_at", "rate"],
        ),
        "sentiment": lambda: _sentiment(store, market, start, end),
        "book": lambda: _by_day(store, BOOK_SNAPSHOTS, market, timeframe, start, end),
        "trades": lambda: _by_day(store, PUBLIC_TRADES, market, timeframe, start, end),
    }
    found = {name: read() for name, read in reads.items() if name in names}
    return {name: _one_per_time(frame) for name, frame in found.items() if frame is not None and frame.height}


def _one_per_time(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort("known_at").unique("known_at", keep="last", maintain_order=True)


def read_leader(
    store: Store, leader: str | None, timeframe: Timeframe, start: datetime, end: datetime
) -> pl.DataFrame | None:
    """The leader's closed bars for the bars of a market from ``start`` to ``end``."""
    if leader is None:
        return None
    begin = start - COMPANIONS["leader"].max_age - timeframe.length
    return store.read(
        BARS[timeframe.name], where={"market": leader}, start=begin, end=end, columns=["known_at", "close"]
    )


def _sentiment(store: Store, market: str, start: datetime, end: datetime) -> pl.DataFrame:
    """The scores of the base currency, or of the whole market where it has none; the mean of those of one time."""
    begin = start - 2 * COMPANIONS["sentiment"].max_age
    base = Market.parse(market).base
    rows = store.read(SENTIMENT, where={"scope": [base, "*"]}, start=begin, end=end)
    own = rows.filter(pl.col("scope") == base)
    return (own if own.height else rows).group_by("known_at").agg(pl.col("score").mean())


def _by_day(
    store: Store, table: Table, market: str, timeframe: Timeframe, start: datetime, end: datetime
) -> pl.DataFrame | None:
    """Books or trades as one row per bar, read a day at a time: a month of trades would not fit."""
    bounds = store.bounds(table, where={"market": market})
    if bounds is None:
        return None
    first, last = bounds
    begin, stop = (
        max(start, first.replace(hour=0, minute=0, second=0, microsecond=0)),
        min(end, last + timeframe.length),
    )
    parts = []
    while begin < stop:
        until = min(begin.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY, stop)
        rows = store.read(table, where={"market": market}, start=begin - _LATE, end=until)
        known = rows.filter((pl.col("known_at") > begin) & (pl.col("known_at") <= until))
        parts.append(_SUMMARIES[table.name](known, timeframe))
        begin = until
    return pl.concat(parts) if parts else None


_SUMMARIES: Final[Mapping[str, Callable[[pl.DataFrame, Timeframe], pl.DataFrame]]] = {
    BOOK_SNAPSHOTS.name: of_books,
    PUBLIC_TRADES.name: of_trades,
}
