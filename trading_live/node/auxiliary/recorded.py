"""What was heard of one market's books or trades, as one row per bar: by the function that makes the tables' rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.core.candles import EPOCH
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.stored_series import SUMMARIES
from trading_assets.store.tables import BOOK_SNAPSHOTS, PUBLIC_TRADES, Table

TABLE_OF: Final[Mapping[str, Table]] = {"book": BOOK_SNAPSHOTS, "trades": PUBLIC_TRADES}
"""Auxiliary series -> the table that it is recorded in."""

_SPARE: Final = 8
_UNREAD: Final = {"trades": ("market", "price"), "book": ("market",)}


class RecordedSeries:
    """Rows of a recorded table of one market, held until the bars are summed up that they belong to.

    Nothing is summed up before :meth:`load`: a bar that began before this process did has rows that another recorded.

    Parameters
    ----------
    name
        ``book`` or ``trades``.
    timeframes
        Of the bars that are decided on -> how many bars back features read.
    """

    def __init__(self, name: str, timeframes: Mapping[str, int]) -> None:
        self.loaded = False
        self._table = TABLE_OF[name]
        self._unread = _UNREAD[name]
        # twice as many, as bars may be missing between those that are read
        self._kept = {Timeframe.parse(one): 2 * rows + _SPARE for one, rows in timeframes.items()}
        self._longest = max(one.length for one in self._kept)
        self._raw = self._slim(pl.DataFrame(schema=self._table.columns))
        self._waiting: list[pl.DataFrame] = []
        self._done: dict[Timeframe, datetime | None] = dict.fromkeys(self._kept)
        self._bars: dict[Timeframe, pl.DataFrame] = {}

    @property
    def waits(self) -> int:
        """How many rows are held whose bars have not closed."""
        return self._raw.height + sum(part.height for part in self._waiting)

    def reach(self, now: datetime) -> datetime:
        """The first moment of which something is read now."""
        return min(_floor(now, one) - rows * one.length for one, rows in self._kept.items())

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows of the table that have come since the last call."""
        if rows.height:
            self._waiting.append(self._slim(rows))

    def load(self, rows: pl.DataFrame) -> None:
        """Take what was recorded before; from now on bars are summed up. Of a row that came twice the first counts."""
        both = pl.concat([self._slim(rows), self._raw, *self._waiting]).sort("known_at", maintain_order=True)
        key = [name for name in self._table.key if name in both.columns]
        self._raw, self._waiting = both.unique(key, keep="first", maintain_order=True), []
        self.loaded = True

    def rows(self, timeframe: str, known_at: datetime) -> pl.DataFrame:
        """The bars of a timeframe that had closed at a moment, in the order of ``known_at``."""
        self.sum_up(known_at)
        one = Timeframe.parse(timeframe)
        return self._bars[one].filter(pl.col("known_at") <= known_at)

    def sum_up(self, until: datetime) -> None:
        """Sum up all bars that have closed by a moment, and forget their rows: nothing is added to them any more."""
        if not self.loaded:
            return
        if self._waiting:
            self._raw, self._waiting = pl.concat([self._raw, *self._waiting]), []
        for one, kept in self._kept.items():
            done, end = self._done[one], _floor(until, one)
            if done is not None and end <= done:
                continue
            new = (pl.col("known_at") <= end) & (True if done is None else pl.col("known_at") > done)
            found = SUMMARIES[self._table.name](self._raw.filter(new), one)
            self._bars[one] = pl.concat([self._bars[one], found]).tail(kept) if one in self._bars else found.tail(kept)
            self._done[one] = end
        ends = [end for end in self._done.values() if end is not None]
        if ends:
            self._raw = self._raw.filter(pl.col("known_at") > min(ends))

    def tidy(self) -> None:
        """Sum up what nobody has asked for: where no bars come, rows must not pile up."""
        parts = [part for part in (self._raw, *self._waiting) if part.height]
        if parts and (newest := parts[-1]["known_at"][-1]) - parts[0]["known_at"][0] > 3 * self._longest:
            self.sum_up(newest - self._longest)

    def _slim(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.drop(self._unread)


def _floor(moment: datetime, timeframe: Timeframe) -> datetime:
    """The newest end of a bar at a moment."""
    return EPOCH + (moment - EPOCH) // timeframe.length * timeframe.length
