"""Which candles a window lacks: ranges of them, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.candles import TS, timeframe_delta
from trading_assets.sources.window import EPOCH

Span = tuple[datetime, datetime]
"""A half-open range of time."""

_RANGES: Final = {"start": TS, "end": TS}


@dataclass(frozen=True, slots=True)
class Gap:
    """A missing range: no candle is stored that opens in ``[start, end)``.

    Attributes
    ----------
    start, end
        Open time of the first missing candle and of the next stored one.
    candles
        How many candles are missing.
    """

    start: datetime
    end: datetime
    candles: int

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC: {self.candles:,} candles"


def missing_ranges(times: pl.Series, timeframe: str, start: datetime, end: datetime) -> list[Gap]:
    """The ranges of a window in which no candle is stored, in ascending time.

    Parameters
    ----------
    times
        Open times of the stored candles in the window, ascending and unique.
    timeframe, start, end
        What the window should hold.
    """
    bar = timeframe_delta(timeframe)
    found = _ranges(times, bar, start, end)
    return [Gap(begin, stop, bars_between(begin, stop, bar)) for begin, stop in found.iter_rows()]


def missing_times(times: pl.Series, timeframe: str, start: datetime, end: datetime) -> pl.Series:
    """The open times of a window at which no candle is stored, ascending; the parameters are as in ``missing_ranges``.

    Returns
    -------
    polars.Series
        ``ts``, microseconds UTC.
    """
    bar = timeframe_delta(timeframe)
    found = _ranges(times, bar, start, end)
    if found.is_empty():
        return pl.Series("ts", [], dtype=TS)
    opens = found.select(pl.datetime_ranges("start", "end", bar, closed="left", time_unit="us").alias("ts"))
    return opens["ts"].explode().cast(TS)


def bars_between(start: datetime, end: datetime, bar: timedelta) -> int:
    """How many bars open in ``[start, end)``."""
    return max(-((EPOCH - end) // bar) - -((EPOCH - start) // bar), 0)


def merged(spans: Sequence[Span], *, within: timedelta = timedelta()) -> list[Span]:
    """Spans in ascending time, those that touch or overlap made one.

    ``within`` also joins spans that are apart, as long as what they cover together is no longer than that.
    """
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and (start <= joined[-1][1] or end - joined[-1][0] <= within):
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _ranges(times: pl.Series, bar: timedelta, start: datetime, end: datetime) -> pl.DataFrame:
    if start >= end:
        return pl.DataFrame(schema=_RANGES)
    first = EPOCH - (EPOCH - start) // bar * bar  # the first bar that opens in the window
    edges = pl.concat([pl.Series([first - bar], dtype=TS), times, pl.Series([end], dtype=TS)])
    return pl.DataFrame({"start": edges[:-1] + bar, "end": edges[1:]}).filter(pl.col("start") < pl.col("end"))
