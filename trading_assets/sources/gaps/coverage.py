"""What is stored of a market's window and what is known of the rest: read once, and kept up as a fetch writes."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Final

import polars as pl

from trading_assets.core.missing_candles import explain, missing_times
from trading_assets.sources.gaps.ledger import ledger, refused, write_ledger
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES

_PARTS: Final = 32
"""So many batches of fresh times lie apart before they are put together."""


class Coverage:
    """The stored times of a window and the market's gap ledger.

    Both are read when they are first asked for. While a fetch goes on nobody else writes the market's candles, except
    a user who releases some from quarantine: the next fetch sees these.

    Parameters
    ----------
    store
        Where they are.
    market, timeframe
        Whose they are.
    start, end
        The window ``[start, end)``; parts of it may be asked for.
    """

    def __init__(self, store: Store, market: str, timeframe: str, start: datetime, end: datetime) -> None:
        self.store, self.market, self.timeframe = store, market, timeframe
        self.start, self.end = start, end
        self._fresh: list[pl.Series] = []

    @property
    def where(self) -> dict[str, str]:
        """What selects the market's rows of a table."""
        return {"market": self.market, "timeframe": self.timeframe}

    def times(self, start: datetime, end: datetime) -> pl.Series:
        """The open times of the stored candles of a part of the window, ascending."""
        self._stored = _together([self._stored, *self._fresh])
        self._fresh = []
        first, stop = (self._stored.search_sorted(moment) for moment in (start, end))
        return self._stored.slice(first, max(stop - first, 0))

    def newest_before(self, moment: datetime) -> datetime | None:
        """The open time of the newest stored candle of the window that opens before a moment."""
        parts = (self._stored, *self._fresh)
        return max((times[at - 1] for times in parts if (at := times.search_sorted(moment))), default=None)

    def add(self, times: pl.Series) -> None:
        """Candles were written; ascending."""
        self.__dict__.pop("bounds", None)
        if "_stored" not in self.__dict__ or times.is_empty():  # a later look at the store finds them
            return
        self._fresh.append(times)
        if len(self._fresh) > _PARTS:
            self._fresh = [_together(self._fresh)]

    @cached_property
    def bounds(self) -> tuple[datetime, datetime] | None:
        """The oldest and the newest candle that is stored of the market, in the window or not."""
        return self.store.bounds(CANDLES, where=self.where)

    @cached_property
    def ledger(self) -> pl.DataFrame:
        """The market's rows of the gap ledger."""
        return ledger(self.store, self.market, self.timeframe)

    def missing(self, start: datetime, end: datetime) -> pl.DataFrame:
        """What a part of the window lacks, and what the ledger says of it."""
        return explain(missing_times(self.times(start, end), self.timeframe, start, end), self.ledger)

    def refused(self, missing: pl.Series) -> pl.DataFrame:
        """Which missing candles stand in quarantine; see :func:`~trading_assets.sources.gaps.ledger.refused`."""
        return refused(self.store, missing, self.market, self.timeframe)

    def write(self, explained: pl.DataFrame, start: datetime, end: datetime) -> None:
        """Make what is explained the ledger of a part of the window."""
        span = (start, end)
        self.ledger = write_ledger(
            self.store, explained, self.ledger, market=self.market, timeframe=self.timeframe, window=span
        )

    @cached_property
    def _stored(self) -> pl.Series:
        return self.store.read(CANDLES, where=self.where, start=self.start, end=self.end, columns=["ts"])["ts"]


def _together(parts: list[pl.Series]) -> pl.Series:
    return parts[0] if len(parts) == 1 else pl.concat(parts).unique().sort()
