"""Candles as a venue streamed them: stored at once, and replaced by its own history when that has been read.

A streamed candle is marked by a row of ``streamed_candles`` beside it, written in the same transaction. The next fetch
begins before the first mark, so that what the stream missed is fetched too; what it reads replaces what was streamed,
and the mark goes. A process that is killed in between leaves the candle of the stream or of the history, and a mark
that the next fetch reads again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from trading_assets.core.candles import OHLCV, timeframe_delta
from trading_assets.core.missing_candles import Span, merged
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.ingest.candle_validation import split_valid
from trading_assets.sources.ingest.ingestion import keep_bad
from trading_assets.sources.ingest.quarantine import accept_released
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_REVISIONS, CANDLES, STREAMED_CANDLES, Table


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of streamed candles when the history was read.

    Attributes
    ----------
    settled
        Those that the history has, and those that it lacks.
    differed
        Of them, those that were streamed with other values, or that the history does not have: ``candle_revisions``
        keeps what was streamed.
    """

    settled: int = 0
    differed: int = 0


def take_streamed(store: Store, rows: pl.DataFrame, *, now: datetime) -> int:
    """Store streamed candles by the rules of a fetch; what is stored already stays, whoever gave it.

    Parameters
    ----------
    rows
        Of the table ``streamed_candles``.
    now
        The present time; a candle that the venue called closed has ended, whatever this machine's clock says.

    Returns
    -------
    int
        How many candles are new.
    """
    added = 0
    for (market, timeframe, source), mine in rows.group_by("market", "timeframe", "source", maintain_order=True):
        where = {"market": str(market), "timeframe": str(timeframe)}
        start, end = _bounds(mine["ts"], timeframe_delta(str(timeframe)))
        first = mine.sort("known_at").unique("ts", keep="first", maintain_order=True)
        good, bad = split_valid(first.select(list(RAW_COLUMNS)), **where, start=start, end=end, now=max(now, end))
        good, bad = accept_released(store, good, bad)
        keep_bad(store, bad, str(source), now)
        stored = store.read(CANDLES, where=where, start=start, end=end, columns=["ts"])
        fresh = good.join(stored, on="ts", how="anti")
        if fresh.height:
            marks = first.join(fresh.select("ts"), on="ts", how="semi").select(list(STREAMED_CANDLES.columns))
            store.upsert_together([(CANDLES, fresh), (STREAMED_CANDLES, marks)])
            added += fresh.height
    return added


class Streamed:
    """The streamed candles of a window that the venue's history has not been read for yet.

    Parameters
    ----------
    store
        Where they are.
    market, timeframe, start, end
        The window.
    """

    def __init__(self, store: Store, *, market: str, timeframe: str, start: datetime, end: datetime) -> None:
        self._store = store
        self._where = {"market": market, "timeframe": timeframe}
        self._marks = store.read(STREAMED_CANDLES, where=self._where, start=start, end=end)
        self._heard = self._marks.clear().select("ts", *OHLCV)
        self._newest: datetime | None = None

    @property
    def first(self) -> datetime | None:
        """The open of the oldest; None where there is none."""
        return self._marks["ts"][0] if self._marks.height else None

    def hear(self, good: pl.DataFrame) -> None:
        """Take note of candles of the history that are about to be written."""
        if self._marks.is_empty() or good.is_empty():
            return
        found = good.join(self._marks.select("ts"), on="ts", how="semi").select("ts", *OHLCV)
        self._heard = pl.concat([self._heard, found])
        newest = good["ts"][-1]
        self._newest = newest if self._newest is None else max(self._newest, newest)

    def settle(self, parts: Sequence[Span], source: str, now: datetime) -> Settled:
        """Take the marks away of what the history was read for; what it does not have is no candle any more.

        Parameters
        ----------
        parts
            What was asked for, and answered.
        source
            Who answered.
        now
            When.
        """
        if self._marks.is_empty() or self._newest is None:
            return Settled()
        asked = pl.any_horizontal(pl.col("ts").is_between(begin, end, closed="left") for begin, end in parts)
        read = self._marks.filter(asked & (pl.col("ts") <= self._newest))  # what is newer, the history may still get
        heard = self._heard.unique("ts", keep="last")
        absent = read.join(heard, on="ts", how="anti")
        both = read.join(heard, on="ts", suffix="_read")
        changed = both.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_read") for name in OHLCV))
        self._remove(absent, source, now)
        self._take_away(STREAMED_CANDLES, read)
        return Settled(read.height, changed.height + absent.height)

    def _remove(self, absent: pl.DataFrame, source: str, now: datetime) -> None:
        """Note what the history does not have, then take it away."""
        if absent.is_empty():
            return
        told = absent.select(
            *CANDLES.key,
            pl.lit(now).dt.cast_time_unit("us").alias("seen_at"),
            pl.lit(source).alias("source"),
            *(pl.col(name).alias(f"old_{name}") for name in OHLCV),
            *(pl.lit(None, pl.Float64).alias(f"new_{name}") for name in OHLCV),
        )
        self._store.upsert(CANDLE_REVISIONS, told)
        self._take_away(CANDLES, absent)

    def _take_away(self, table: Table, rows: pl.DataFrame) -> None:
        """Delete rows of the window, each stretch of them in one transaction; what comes in beside them stays."""
        bar = timeframe_delta(self._where["timeframe"])
        for start, end in merged([(ts, ts + bar) for ts in rows["ts"]]):
            self._store.replace(table, pl.DataFrame(schema=table.columns), where=self._where, start=start, end=end)


def _bounds(times: pl.Series, further: timedelta) -> Span:
    first, last = times.min(), times.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return first, last + further
