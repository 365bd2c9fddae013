"""The bars that the node holds of each market and timeframe that it decides on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import OHLCV, TS
from trading_assets.core.timeframes import Timeframe
from trading_assets.strategies.signals import ClosedBar, Stream

_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "market": pl.String,
    "ts": TS,
    "known_at": TS,
    **dict.fromkeys(OHLCV, pl.Float64),
}


class BarHistory:
    """The newest bars of one timeframe of one market, as the features want them.

    Parameters
    ----------
    stream
        Market and timeframe.
    rows
        How many are held at most.
    """

    def __init__(self, stream: Stream, *, rows: int) -> None:
        self.stream = stream
        self.length: timedelta = Timeframe.parse(stream.timeframe).length
        self.rows = rows
        self.frame = pl.DataFrame(schema=_SCHEMA)

    @property
    def height(self) -> int:
        """How many bars are there."""
        return self.frame.height

    @property
    def first(self) -> datetime | None:
        """The oldest bar's open."""
        return self.frame["ts"][0] if self.height else None

    @property
    def last(self) -> datetime | None:
        """The newest bar's open."""
        return self.frame["ts"][-1] if self.height else None

    def known_at(self, moment: datetime) -> pl.DataFrame:
        """The bars that had closed at a moment: ``known_at`` and ``close``, as features read a leader."""
        return self.frame.select("known_at", "close").filter(pl.col("known_at") <= moment)

    def around(self, first: datetime, last: datetime) -> tuple[ClosedBar | None, ClosedBar | None]:
        """The bar that opened before an instant, and the one that opened after another; None where there is none."""
        before, after = self.frame.filter(pl.col("ts") < first).tail(1), self.frame.filter(pl.col("ts") > last).head(1)
        return self._bar(before), self._bar(after)

    def append(self, row: pl.DataFrame) -> None:
        """Add the newest bar, a row of :func:`bar_rows`."""
        longer = self.frame.tail(self.rows - 1).vstack(row)
        # column by column: a whole frame's are copied by another thread, to wait for which takes longer than the copies
        self.frame = pl.DataFrame([column.rechunk() for column in longer])

    def reach_back(self, rows: int) -> int:
        """Hold at least so many bars; returns how many that adds."""
        added = max(rows - self.rows, 0)
        self.rows += added
        return added

    def clear(self) -> None:
        """Forget every bar."""
        self.frame = self.frame.clear()

    def merge(self, bars: Iterable[ClosedBar]) -> int:
        """Add older or missing bars; one that is there already stays. Returns how many were new."""
        fresh = bar_rows(bars).unique("ts").join(self.frame, on="ts", how="anti")
        self.frame = pl.concat([self.frame, fresh]).sort("ts").tail(self.rows)
        return fresh.height

    def _bar(self, row: pl.DataFrame) -> ClosedBar | None:
        if row.is_empty():
            return None
        market, ts, known_at, *values = row.row(0)
        return ClosedBar(market, self.stream.timeframe, ts, known_at, *values)


def bar_rows(bars: Iterable[ClosedBar]) -> pl.DataFrame:
    """The bars as a frame, in the order given."""
    rows = [(bar.market, bar.ts, bar.known_at, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")
