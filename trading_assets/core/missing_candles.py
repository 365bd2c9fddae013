"""Which candles a window lacks, and what the gap ledger says of them. Pure: no store, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import EPOCH, TS, timeframe_delta

Span = tuple[datetime, datetime]
"""A half-open range of time."""

UNCHECKED: Final = "unchecked"
"""The reason of what nobody looked into: it has no row in the ledger."""

FACTS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "reason": pl.String,
    "detail": pl.String,
    "attempts": pl.Int32,
    "checked_at": TS,
}
"""What a ledger knows of a missing candle."""

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
        Open times of stored candles, ascending and unique; those outside of the window do not matter.
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


def explain(missing: pl.Series, ledger: pl.DataFrame) -> pl.DataFrame:
    """What the gap ledger says about missing candles.

    Parameters
    ----------
    missing
        Open times, ascending.
    ledger
        Rows of the table ``candle_gaps`` of the same market and timeframe. A candle that came in after its gap was
        entered is not missing, whatever the ledger says.

    Returns
    -------
    polars.DataFrame
        One row per missing candle: ``ts`` and the ``FACTS``; ``unchecked`` where the ledger has nothing.
    """
    rows = ledger.select("ts", "end", *FACTS).sort("ts")
    found = pl.DataFrame({"ts": missing.cast(TS)}).join_asof(rows, on="ts", strategy="backward")
    covered = (pl.col("ts") < pl.col("end")).fill_null(value=False)
    default = {"reason": pl.lit(UNCHECKED), "detail": pl.lit(""), "attempts": pl.lit(0, pl.Int32)}
    return found.select(
        "ts",
        *(pl.when(covered).then(name).otherwise(value).alias(name) for name, value in default.items()),
        pl.when(covered).then("checked_at").alias("checked_at"),
    )


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
    stored = times.filter((times >= start) & (times < end))
    edges = pl.concat([pl.Series([first - bar], dtype=TS), stored, pl.Series([end], dtype=TS)])
    return pl.DataFrame({"start": edges[:-1] + bar, "end": edges[1:]}).filter(pl.col("start") < pl.col("end"))
