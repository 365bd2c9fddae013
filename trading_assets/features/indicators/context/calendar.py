"""Calendar: where the bar's open stands in the day, the week and the funding cycle (UTC).

What moves within a day or a funding period is not defined on bars that are as long: it would never change.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, Span
from trading_assets.features.framework.windows import Array

_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_WEEK: Final = 7 * _DAY
_MONDAY: Final = 4 * _DAY
"""1970-01-05, the first Monday of the epoch."""
_FUNDING_PERIOD: Final = Span("8h")
_FUNDING: Final = _FUNDING_PERIOD.micros
"""Perpetuals settle at 00:00, 08:00 and 16:00 UTC."""


def _share(frame: Bars, cycle: int, origin: int = 0) -> Array:
    return frame.once(_elapsed, cycle=cycle, origin=origin) / cycle


def _elapsed(frame: Bars, cycle: int, origin: int) -> npt.NDArray[np.int64]:
    """Microseconds since the cycle began."""
    return np.asarray((frame.ts - origin) % cycle)


@feature(
    "day_sin",
    "day_cos",
    inputs=["ts"],
    lookback=1,
    within=DAY,
    minimum=2,
    unit="cycle",
    low=-1,
    high=1,
    source="time of day as an angle",
)
def time_of_day(frame: Bars) -> tuple[Array, ...]:
    """The time of day on a circle."""
    angle = 2 * np.pi * _share(frame, _DAY)
    return np.sin(angle), np.cos(angle)


@feature(
    "week_sin", "week_cos", inputs=["ts"], lookback=1, unit="cycle", low=-1, high=1, source="time of week as an angle"
)
def time_of_week(frame: Bars) -> tuple[Array, ...]:
    """The time of the week, from Monday 00:00, on a circle."""
    angle = 2 * np.pi * _share(frame, _WEEK, _MONDAY)
    return np.sin(angle), np.cos(angle)


@feature("is_weekend", inputs=["ts"], lookback=1, unit="0 or 1", low=0, high=1, source="Saturday and Sunday, UTC")
def is_weekend(frame: Bars) -> Array:
    """Whether the bar opens on a Saturday or Sunday."""
    return (_share(frame, _WEEK, _MONDAY) >= 5 / 7).astype(np.float64)


@feature(
    "session",
    inputs=["ts"],
    lookback=1,
    within=DAY,
    minimum=2,
    unit="0 Asia (00-08), 1 Europe (08-14), 2 America (14-21), 3 between (21-24)",
    low=0,
    high=3,
    source="trading hours of the large exchanges, UTC",
)
def session(frame: Bars) -> Array:
    """Which part of the world is at work."""
    elapsed = frame.once(_elapsed, cycle=_DAY, origin=0)
    return (elapsed >= 8 * _HOUR) + (elapsed >= 14 * _HOUR) + 1.0 * (elapsed >= 21 * _HOUR)


@feature(
    "funding_elapsed",
    inputs=["ts"],
    lookback=1,
    within=_FUNDING_PERIOD,
    minimum=2,
    unit="share of the 8 hours",
    low=0,
    high=1,
    source="funding at 00:00, 08:00 and 16:00 UTC",
)
def funding_elapsed(frame: Bars) -> Array:
    """The share of the funding period that has passed at the bar's open."""
    return _share(frame, _FUNDING)


@feature(
    "hour",
    inputs=["ts"],
    lookback=1,
    within=DAY,
    minimum=2,
    unit="hours since midnight UTC",
    low=0,
    high=24,
    source="clock",
)
def hour(frame: Bars) -> Array:
    """The hour of the day at the bar's open."""
    return np.floor(frame.once(_elapsed, cycle=_DAY, origin=0) / _HOUR)


@feature("weekday", inputs=["ts"], lookback=1, unit="0 Monday to 6 Sunday", low=0, high=6, source="calendar, UTC")
def weekday(frame: Bars) -> Array:
    """The day of the week at the bar's open."""
    return np.floor(7 * _share(frame, _WEEK, _MONDAY))


@feature(
    "hours_to_funding",
    inputs=["ts"],
    lookback=1,
    within=_FUNDING_PERIOD,
    minimum=2,
    unit="hours",
    low=0,
    high=8,
    source="funding at 00:00, 08:00 and 16:00 UTC",
)
def time_to_funding(frame: Bars) -> Array:
    """How long after the bar's close the next funding is; 0 where the bar closes with it."""
    return (-(frame.ts + frame.timeframe.micros) % _FUNDING) / _HOUR


@feature("month_elapsed", inputs=["ts"], lookback=1, unit="share of the month", low=0, high=1, source="calendar, UTC")
def month_elapsed(frame: Bars) -> Array:
    """The share of the calendar month that has passed at the bar's open."""
    day = frame.ts // _DAY
    begin, end = _months(int(day[0]), int(day[-1])) if len(day) else (day, day)
    number = day - day[:1]
    return np.asarray((frame.ts - begin[number]) / (end - begin)[number])


@lru_cache(maxsize=16)
def _months(first: int, last: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Begin and end of the month of each day, from the first to the last of these days since 1970."""
    month = np.arange(first, last + 1).astype("datetime64[D]").astype("datetime64[M]")
    return tuple(edge.astype("datetime64[us]").astype(np.int64) for edge in (month, month + np.timedelta64(1, "M")))
