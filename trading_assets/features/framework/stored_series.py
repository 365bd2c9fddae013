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
SENTIMENT_DELAY: Final = timedelta(minutes=5)
"""From a score's ``known_at`` until it counts: by then it is stored, and every node has read it."""

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
    second_exchange: str | None = None,
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
    second_exchange
        The same coin on another exchange, if there is one.
    names
        Which companions: what nobody asks for is not read.
    """
    reads: dict[str, Callable[[], pl.DataFrame | None]] = {
        "leader": lambda: read_leader(store, leader if leader != market else None, timeframe, start, end),
        "second_exchange": lambda: _closes(store, second_exchange, timeframe, start, end),
        "funding": lambda: store.read(
            FUNDING_RATES,
            where={"market": market},
            start=start - COMPANIONS["funding"].max_age - _DAY,
            end=end,
            columns=["known_at", "rate"],
        ),
        "sentiment": lambda: read_sentiment(store, market, start, end),
        "book": lambda: _by_day(store, BOOK_SNAPSHOTS, market, timeframe, start, end),
        "trades": lambda: _by_day(store, PUBLIC_TRADES, market, timeframe, start, end),
    }
    found = {name: read() for name, read in reads.items() if name in names}
    return {name: one_per_time(frame) for name, frame in found.items() if frame is not None and frame.height}


def one_per_time(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows in the order of ``known_at``, one of each: as :func:`auxiliary_series.join` wants them."""
    return frame.sort("known_at").unique("known_at", keep="last", maintain_order=True)


def read_leader(
    store: Store, leader: str | None, timeframe: Timeframe, start: datetime, end: datetime
) -> pl.DataFrame | None:
    """The leader's closed bars for the bars of a market from ``start`` to ``end``."""
    return _closes(store, leader, timeframe, start - COMPANIONS["leader"].max_age - timeframe.length, end)


def _closes(
    store: Store, market: str | None, timeframe: Timeframe, start: datetime, end: datetime
) -> pl.DataFrame | None:
    """The closed bars of another market that open in [start, end)."""
    if market is None:
        return None
    return store.read(
        BARS[timeframe.name], where={"market": market}, start=start, end=end, columns=["known_at", "close"]
    )


def read_sentiment(store: Store, market: str, start: datetime, end: datetime) -> pl.DataFrame:
    """The scores that bars of a market from ``start`` to ``end`` read; see :func:`scores_of`."""
    base = Market.parse(market).base
    rows = store.read(
        SENTIMENT, where={"scope": [base, "*"]}, start=start - 2 * COMPANIONS["sentiment"].max_age, end=end
    )
    return scores_of(rows, base)


def scores_of(rows: pl.DataFrame, base: str) -> pl.DataFrame:
    """``known_at`` and ``score`` of a base currency; the whole market's where its own has none that still counts.

    Scores of one time are averaged. Each counts from :data:`SENTIMENT_DELAY` after its ``known_at`` on: a node reads
    them from the store, and must have what the tables will say it knew.

    Parameters
    ----------
    rows
        Of the table ``sentiment``: of the base currency's scope and of the whole market's.
    base
        E.g. ``BTC``.
    """
    own, whole = (
        rows.filter(pl.col("scope") == scope).group_by("known_at").agg(pl.col("score").mean()).sort("known_at")
        for scope in (base, "*")
    )
    last_own = own.select("known_at", own_at="known_at")
    since = whole.join_asof(last_own, on="known_at", strategy="backward").with_columns(
        fresh=(pl.col("known_at") - pl.col("own_at") <= COMPANIONS["sentiment"].max_age).fill_null(value=False)
    )
    both = pl.concat([since.filter(~pl.col("fresh")).select("known_at", "score"), own])
    return both.sort("known_at").with_columns(pl.col("known_at") + SENTIMENT_DELAY)


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
        parts.append(SUMMARIES[table.name](known, timeframe))
        begin = until
    return pl.concat(parts) if parts else None


SUMMARIES: Final[Mapping[str, Callable[[pl.DataFrame, Timeframe], pl.DataFrame]]] = {
    BOOK_SNAPSHOTS.name: of_books,
    PUBLIC_TRADES.name: of_trades,
}
"""Recorded table -> its rows as one row per bar: what tables and node read of it."""
