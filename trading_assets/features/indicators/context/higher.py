"""Higher timeframes: indicators of the newest closed 1-hour and 4-hour bar, as of the bar's ``known_at``.

The higher bars are built from the bars of the frame, on the clock: one that is not closed yet is not seen. They hold at
least two of these, and a whole number of them; coarser bars have no such features.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import FOUR_HOURS, HOUR
from trading_assets.features.framework.windows import (
    Array,
    ratio,
    rolling_line,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    rolling_var,
    shift,
)

_HLC = ("high", "low", "close")


def _over(windows: int, *, closes: bool = True) -> dict[str, Any]:
    """Both timeframes, with the look-back of ``windows`` closed higher bars and of one that is not closed yet.

    Of the oldest higher bar, ``closes`` needs the last bar alone.
    """
    return {
        "each": [{"hours": 1, "bars": HOUR}, {"hours": 4, "bars": FOUR_HOURS}],
        "minimum": 2,
        "whole": True,
        "lookback": lambda hours, bars: windows * bars + (0 if closes else bars - 1),
    }


@feature("h{hours}_return", inputs=["ts", "close"], **_over(2), unit="fraction", low=-1, source="TA-Lib ROCP")
def higher_return(frame: Bars, hours: int, bars: int) -> Array:
    """Relative change of the higher bar's close."""
    higher = frame.higher(bars)
    return higher.known(higher.close / shift(higher.close, 1) - 1)


@feature(
    "h{hours}_sma_20_distance",
    inputs=["ts", "close"],
    **_over(20),
    unit="fraction of the mean",
    low=-1,
    source="TA-Lib SMA of 20 higher bars",
)
def higher_average(frame: Bars, hours: int, bars: int) -> Array:
    """How far the higher bar's close is above its mean."""
    higher = frame.higher(bars)
    return higher.known(higher.close / rolling_mean(higher.close, 20) - 1)


@feature(
    "h{hours}_rsi_14",
    inputs=["ts", "close"],
    **_over(15),
    unit="percent",
    low=0,
    high=100,
    source="Cutler: relative strength index with plain means",
)
def higher_strength(frame: Bars, hours: int, bars: int) -> Array:
    """Relative strength index of 14 higher bars; 50 at a constant price."""
    higher = frame.higher(bars)
    change = higher.close - shift(higher.close, 1)
    rises = rolling_sum(np.maximum(change, 0), 14)
    return higher.known(100 * ratio(rises, rolling_sum(np.abs(change), 14), 0.5))


@feature(
    "h{hours}_position_20",
    inputs=["ts", *_HLC],
    **_over(20, closes=False),
    unit="share of the channel",
    low=0,
    high=1,
    source="Donchian (1960) over 20 higher bars",
)
def higher_position(frame: Bars, hours: int, bars: int) -> Array:
    """Position of the higher bar's close between the extremes; 0.5 without a range."""
    higher = frame.higher(bars)
    lowest = rolling_min(higher.low, 20)
    return higher.known(ratio(higher.close - lowest, rolling_max(higher.high, 20) - lowest, 0.5))


@feature(
    "h{hours}_range_14",
    inputs=["ts", *_HLC],
    **_over(14, closes=False),
    unit="fraction of the close",
    low=0,
    source="mean range of 14 higher bars",
)
def higher_range(frame: Bars, hours: int, bars: int) -> Array:
    """Mean range of the higher bars over the close."""
    higher = frame.higher(bars)
    return higher.known(rolling_mean(higher.high - higher.low, 14) / higher.close)


@feature(
    "h{hours}_slope_20",
    inputs=["ts", "close"],
    **_over(20),
    unit="fraction of the close per higher bar",
    source="TA-Lib LINEARREG_SLOPE over 20 higher bars",
)
def higher_slope(frame: Bars, hours: int, bars: int) -> Array:
    """Slope of the straight line through the higher closes; 0 at a constant price."""
    higher = frame.higher(bars)
    return higher.known(rolling_line(higher.close, 20)[0] / higher.close)


@feature(
    "h{hours}_percent_b_20",
    inputs=["ts", "close"],
    **_over(20),
    unit="share of the band",
    source="Bollinger (2001) over 20 higher bars",
)
def higher_band(frame: Bars, hours: int, bars: int) -> Array:
    """Position of the higher close between the Bollinger bands; 0.5 at a constant price."""
    higher = frame.higher(bars)
    width = 4 * np.sqrt(rolling_var(higher.close, 20))
    return higher.known(0.5 + ratio(higher.close - rolling_mean(higher.close, 20), width, 0.0))
