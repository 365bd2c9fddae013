"""Levels: pivots of the previous day, retracements of the last swing, the day's own marks.

A day is a UTC day; the previous day is the last one before it that has any bar.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, Span
from trading_assets.features.framework.windows import Array, newest, ratio, rolling_max, rolling_min, shift, sum_since

_HLC = ("high", "low", "close")
_TS_HLC = ("ts", *_HLC)
_TWO_DAYS: Final = Span("2d")
_DISTANCE = "fraction of the level"
_AGE = "share of 192 bars since it was complete"


def _days(frame: Bars) -> tuple[npt.NDArray[np.bool_], Array, Array, Array, Array]:
    """At each bar: whether it is the first of its day, the day's open, the previous day's high, low and close."""
    day = frame.ts // DAY.micros
    begins = np.empty(len(day), dtype=np.bool_)
    begins[:1] = True
    np.not_equal(day[1:], day[:-1], out=begins[1:])
    first = np.flatnonzero(begins)
    if not len(first):
        return begins, frame.open, frame.high, frame.low, frame.close
    number = np.cumsum(begins) - 1
    none = number == 0

    def before(of_bars: Array) -> Array:
        of_bars[none] = np.nan
        return of_bars

    high = before(np.maximum.reduceat(frame.high, first)[number - 1])
    low = before(np.minimum.reduceat(frame.low, first)[number - 1])
    begun = first[number]
    return begins, frame.open[begun], high, low, before(frame.close[begun - 1])


@feature(
    "pivot_distance",
    "pivot_r1_distance",
    "pivot_s1_distance",
    "pivot_r2_distance",
    "pivot_s2_distance",
    inputs=_TS_HLC,
    lookback=_TWO_DAYS,
    minimum=2,
    unit="fraction of the pivot",
    source="floor traders' pivots of the previous day",
)
def classic_pivots(frame: Bars) -> tuple[Array, ...]:
    """How far the close is above the classic pivot and its first and second resistance and support."""
    _, _, high, low, close = frame.once(_days)
    pivot, range_ = (high + low + close) / 3, high - low
    levels = (pivot, 2 * pivot - low, 2 * pivot - high, pivot + range_, pivot - range_)
    return tuple((frame.close - level) / pivot for level in levels)


@feature(
    "previous_high_distance",
    "previous_low_distance",
    "previous_close_distance",
    inputs=_TS_HLC,
    lookback=_TWO_DAYS,
    minimum=2,
    unit=_DISTANCE,
    low=-1,
    source="the previous day's extremes and close",
)
def previous_day(frame: Bars) -> tuple[Array, ...]:
    """How far the close is above the previous day's high, low and close."""
    _, _, *levels = frame.once(_days)
    return tuple(frame.close / level - 1 for level in levels)


@feature(
    "day_open_distance",
    inputs=["ts", "open", "close"],
    lookback=DAY,
    minimum=2,
    unit=_DISTANCE,
    low=-1,
    source="the day's first open",
)
def day_open(frame: Bars) -> Array:
    """How far the close is above the open of the day's first bar."""
    _, open_, _, _, _ = frame.once(_days)
    return frame.close / open_ - 1


@feature(
    "day_vwap_distance",
    inputs=["ts", *_HLC, "volume"],
    lookback=DAY,
    minimum=2,
    unit="fraction of the VWAP",
    low=-1,
    source="volume-weighted average price since midnight",
)
def day_vwap(frame: Bars) -> Array:
    """How far the close is above the day's volume-weighted average price; 0 without volume."""
    begins, _, _, _, _ = frame.once(_days)
    bars = DAY.bars(frame.timeframe)
    volume = sum_since(frame.volume, begins, bars)
    return ratio(frame.close * volume, sum_since(frame.quote_volume, begins, bars), 1.0) - 1


_SIDE: Final = 5
"""A swing stands out from so many bars on either side, and is complete that many bars later."""

_REACH: Final = 192
"""How many bars back swings are looked for."""


def _swings(frame: Bars) -> tuple[Array, Array, Array, Array]:
    """The last completed swing high and its age, the last completed swing low and its age.

    Where the window holds none, the window's own extreme stands in, as if it had happened at its start.
    """
    around = 2 * _SIDE + 1
    high, low = shift(frame.high, _SIDE), shift(frame.low, _SIDE)
    top, top_age = newest(high, high == rolling_max(frame.high, around), _REACH, frame.highest(_REACH))
    bottom, bottom_age = newest(low, low == rolling_min(frame.low, around), _REACH, frame.lowest(_REACH))
    complete = 0 * shift(frame.close, _REACH + around - 2)
    return top + complete, top_age + complete, bottom + complete, bottom_age + complete


@feature(
    "swing_high_distance",
    "swing_low_distance",
    "swing_high_age",
    "swing_low_age",
    inputs=_HLC,
    lookback=_REACH + 2 * _SIDE,
    unit=(_DISTANCE, _DISTANCE, _AGE, _AGE),
    low=(-1, -1, 0, 0),
    high=(None, None, 1, 1),
    source="extremes of 11 bars, complete 5 bars later",
)
def swing(frame: Bars) -> tuple[Array, ...]:
    """How far the close is above the last completed swing high and low, and how long ago these were complete."""
    top, top_age, bottom, bottom_age = frame.once(_swings)
    return frame.close / top - 1, frame.close / bottom - 1, top_age / _REACH, bottom_age / _REACH


@feature(
    "fibonacci_382_distance",
    "fibonacci_500_distance",
    "fibonacci_618_distance",
    inputs=_HLC,
    lookback=_REACH + 2 * _SIDE,
    unit="fraction of the close",
    source="0.382, 0.5 and 0.618 of the last completed swing",
)
def fibonacci_retracement(frame: Bars) -> tuple[Array, ...]:
    """How far the close is above each retracement of the way between the last completed swing high and low.

    A swing up is retraced from its high downwards, a swing down from its low upwards.
    """
    top, top_age, bottom, bottom_age = frame.once(_swings)
    up = top_age <= bottom_age
    begin, end = np.where(up, bottom, top), np.where(up, top, bottom)
    return tuple((frame.close - (end + share * (begin - end))) / frame.close for share in (0.382, 0.5, 0.618))
