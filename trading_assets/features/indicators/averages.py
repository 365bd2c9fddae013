"""Averages: where the price stands against its many means, and channels built on them."""

from __future__ import annotations

import math

import numpy as np

from trading_assets.features.framework.bars import Bars, ema_memory
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.windows import (
    Array,
    adaptive_mean,
    ewma,
    linear_mean,
    ratio,
    rolling_line,
    rolling_mean,
    rolling_sum,
    shift,
)

_HLC = ("high", "low", "close")
_FRACTION = "fraction of the mean"


def _again(values: Array, bars: int) -> Array:
    return ewma(values, 2 / (bars + 1), ema_memory(bars))


def _twice(frame: Bars, bars: int) -> Array:
    return _again(frame.ema(bars), bars)


@feature(
    "dema_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 21}],
    lookback=lambda bars: 2 * ema_memory(bars) - 1,
    unit=_FRACTION,
    source="Mulloy (1994); TA-Lib DEMA",
)
def double_exponential_average(frame: Bars, bars: int) -> Array:
    """How far the close is above its double exponential moving average."""
    return frame.close / (2 * frame.ema(bars) - frame.once(_twice, bars=bars)) - 1


@feature(
    "tema_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 21}],
    lookback=lambda bars: 3 * ema_memory(bars) - 2,
    unit=_FRACTION,
    source="Mulloy (1994); TA-Lib TEMA",
)
def triple_exponential_average(frame: Bars, bars: int) -> Array:
    """How far the close is above its triple exponential moving average."""
    twice = frame.once(_twice, bars=bars)
    return frame.close / (3 * frame.ema(bars) - 3 * twice + _again(twice, bars)) - 1


@feature(
    "t3_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 5}],
    lookback=lambda bars: 6 * ema_memory(bars) - 5,
    unit=_FRACTION,
    source="Tillson (1998), volume factor 0.7; TA-Lib T3",
)
def tillson_average(frame: Bars, bars: int) -> Array:
    """How far the close is above Tillson's six times smoothed average."""
    chain = [frame.ema(bars)]
    for _ in range(5):
        chain.append(_again(chain[-1], bars))
    v = 0.7
    weights = (-(v**3), 3 * v**2 + 3 * v**3, -6 * v**2 - 3 * v - 3 * v**3, 1 + 3 * v + v**3 + 3 * v**2)
    mean = weights[0] * chain[5] + weights[1] * chain[4] + weights[2] * chain[3] + weights[3] * chain[2]
    return frame.close / mean - 1


@feature(
    "wma_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 20}],
    lookback=lambda bars: bars,
    unit=_FRACTION,
    low=-1,
    source="linear weights; TA-Lib WMA",
)
def weighted_average(frame: Bars, bars: int) -> Array:
    """How far the close is above its linearly weighted mean."""
    return frame.close / linear_mean(frame.close, bars) - 1


@feature(
    "hull_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 16}],
    lookback=lambda bars: bars + math.isqrt(bars) - 1,
    unit=_FRACTION,
    source="Hull (2005)",
)
def hull_average(frame: Bars, bars: int) -> Array:
    """How far the close is above Hull's moving average."""
    quick = 2 * linear_mean(frame.close, bars // 2) - linear_mean(frame.close, bars)
    return frame.close / linear_mean(quick, math.isqrt(bars)) - 1


@feature(
    "trima_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 20}],
    lookback=lambda bars: bars,
    unit=_FRACTION,
    low=-1,
    source="triangular weights; TA-Lib TRIMA",
)
def triangular_average(frame: Bars, bars: int) -> Array:
    """How far the close is above its mean of means."""
    return frame.close / rolling_mean(rolling_mean(frame.close, bars // 2 + 1), bars - bars // 2) - 1


_KAMA_MEMORY = 1_024


@feature(
    "kama_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 10}],
    lookback=lambda bars: _KAMA_MEMORY + bars,
    unit=_FRACTION,
    low=-1,
    source="Kaufman (1995), between 2 and 30 bars, begun 1,024 bars ago; TA-Lib KAMA",
)
def kaufman_average(frame: Bars, bars: int) -> Array:
    """How far the close is above Kaufman's adaptive average."""
    net = np.abs(frame.close - shift(frame.close, bars))
    path = rolling_sum(np.abs(frame.change), bars)
    share = ratio(net, path, 1.0)
    fast, slow = 2 / 3, 2 / 31
    return frame.close / adaptive_mean(frame.close, (share * (fast - slow) + slow) ** 2, _KAMA_MEMORY) - 1


@feature(
    "vwma_{bars}_distance",
    inputs=["close", "volume"],
    each=[{"bars": 20}],
    lookback=lambda bars: bars,
    unit=_FRACTION,
    low=-1,
    source="mean weighted by volume",
)
def volume_weighted_average(frame: Bars, bars: int) -> Array:
    """How far the close is above its mean weighted by volume; 0 without volume."""
    return ratio(frame.close * frame.volume_sum(bars), rolling_sum(frame.close * frame.volume, bars), 1.0) - 1


@feature(
    "forecast_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 14}],
    lookback=lambda bars: bars,
    unit="fraction of the close",
    source="Chande & Kroll (1994), forecast oscillator; TA-Lib TSF",
)
def forecast_oscillator(frame: Bars, bars: int) -> Array:
    """How far the close is above the next point of the least-squares line through the closes."""
    slope, _ = rolling_line(frame.close, bars)
    return 1 - (rolling_mean(frame.close, bars) + slope * (bars + 1) / 2) / frame.close


@feature(
    "ichimoku_cross",
    "ichimoku_cloud_distance",
    "ichimoku_cloud_width",
    inputs=_HLC,
    lookback=77,
    unit="fraction of the close",
    source="Hosoda (1969), 9, 26 and 52 bars",
)
def ichimoku(frame: Bars) -> tuple[Array, ...]:
    """Conversion minus base line; close above the cloud's middle; the cloud's signed width.

    The cloud over a bar was drawn 25 bars before it, 26 with the present one; nothing of the future is shifted back.
    """

    def middle(bars: int) -> Array:
        return (frame.highest(bars) + frame.lowest(bars)) / 2

    conversion, base = middle(9), middle(26)
    first, second = shift((conversion + base) / 2, 25), shift(middle(52), 25)
    return (
        (conversion - base) / frame.close,
        1 - (first + second) / 2 / frame.close,
        (first - second) / frame.close,
    )
