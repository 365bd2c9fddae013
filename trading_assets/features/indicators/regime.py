"""Regime: trending or not, calm or wild, mean-reverting or persistent."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, FOUR_HOURS, WEEK
from trading_assets.features.framework.windows import Array, ewma_memory, ratio, rolling_share_below, rolling_sum, shift
from trading_assets.features.indicators.trend import directions

_HLC = ("high", "low", "close")
_TRENDING = 25
"""The ADX from which Wilder (1978) speaks of a trend."""


@feature(
    "trend_regime_{bars}",
    inputs=_HLC,
    each=[{"bars": 14}],
    lookback=lambda bars: 2 * ewma_memory(1 / bars),
    unit="-1 down, 0 sideways, 1 up",
    low=-1,
    high=1,
    source="Wilder (1978): ADX of 25",
)
def trend_regime(frame: Bars, bars: int) -> Array:
    """The direction of the stronger directional indicator where the ADX shows a trend, else 0."""
    adx, up, down = frame.once(directions, bars=bars)
    return np.where(adx < _TRENDING, 0.0, np.sign(up - down)) + 0 * adx


@feature(
    "natr_percentile_{bars}",
    inputs=_HLC,
    each=[{"atr_bars": 14, "bars": WEEK}],
    lookback=lambda atr_bars, bars: ewma_memory(1 / atr_bars) + 1 + bars,
    unit="share of the samples",
    low=0,
    high=1,
    source="percentile of NATR within a week, sampled every 4 hours, or every bar where bars are longer",
)
def natr_percentile(frame: Bars, atr_bars: int, bars: int) -> Array:
    """The share of the last week's normalised average true ranges that were below the present one."""
    return frame.once(_share_of_week, atr_bars=atr_bars, bars=bars)


def _share_of_week(frame: Bars, atr_bars: int, bars: int) -> Array:
    return rolling_share_below(frame.atr(atr_bars) / frame.close, bars, FOUR_HOURS.bars(frame.timeframe))


@feature(
    "volatility_regime_{bars}",
    inputs=_HLC,
    each=[{"atr_bars": 14, "bars": WEEK}],
    lookback=lambda atr_bars, bars: ewma_memory(1 / atr_bars) + 1 + bars,
    unit="0 low, 1 medium, 2 high",
    low=0,
    high=2,
    source="thirds of natr_percentile",
)
def volatility_regime(frame: Bars, atr_bars: int, bars: int) -> Array:
    """The third of the last week's volatility that the present one falls into."""
    return np.minimum(np.floor(3 * frame.once(_share_of_week, atr_bars=atr_bars, bars=bars)), 2)


@feature(
    "efficiency_ratio_{bars}",
    inputs=["close"],
    each=[{"bars": 20}, {"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="share of the path",
    low=0,
    high=1,
    source="Kaufman (1995)",
)
def efficiency_ratio(frame: Bars, bars: int) -> Array:
    """Net change over the length of the path; 0 at a constant price."""
    return ratio(np.abs(frame.close - shift(frame.close, bars)), rolling_sum(np.abs(frame.change), bars), 0.0)


@feature(
    "choppiness_{bars}",
    inputs=_HLC,
    each=[{"bars": 14}],
    lookback=lambda bars: bars + 1,
    unit="percent",
    low=0,
    source="Dreiss (1993)",
)
def choppiness(frame: Bars, bars: int) -> Array:
    """Logarithm of the summed true range over the whole range (100 sideways, 0 straight); 100 without a range."""
    whole = frame.highest(bars) - frame.lowest(bars)
    return 100 * np.log(ratio(rolling_sum(frame.true_range, bars), whole, float(bars))) / math.log(bars)


@feature(
    "variance_ratio_{step}_{bars}",
    inputs=["close"],
    each=[{"step": 4, "bars": 192}, {"step": 16, "bars": 672}],
    lookback=lambda step, bars: bars + step,
    unit="ratio",
    low=0,
    source="Lo & MacKinlay (1988), around zero",
)
def variance_ratio(frame: Bars, step: int, bars: int) -> Array:
    """Variance of returns over ``step`` bars against that over one (1 random walk, above trending); 1 at rest."""
    long = np.log(frame.close / shift(frame.close, step))
    return ratio(rolling_sum(long**2, bars), step * frame.realised_variance(bars), 1.0)


@feature(
    "autocorrelation_{lag}_{bars}",
    inputs=["close"],
    each=[{"lag": 1, "bars": 96}],
    lookback=lambda lag, bars: bars + lag + 1,
    unit="correlation",
    low=-1,
    high=1,
    source="Box & Jenkins (1970), around zero",
)
def autocorrelation(frame: Bars, lag: int, bars: int) -> Array:
    """Correlation of the log returns with those before; 0 at a constant price."""
    before = shift(frame.log_return, lag)
    variance = frame.realised_variance(bars)
    scale = np.sqrt(variance * shift(variance, lag))
    return np.clip(ratio(rolling_sum(frame.log_return * before, bars), scale, 0.0), -1, 1)


_SCALES: Final = (1, 4, 16, 64)
_CENTRED: Final = np.log(_SCALES) - np.log(_SCALES).mean()
_SLOPE_WEIGHTS: Final = _CENTRED / (_CENTRED @ _CENTRED)
"""Of the line's slope through the logarithms of the scales."""


@feature(
    "hurst_{bars}",
    inputs=["close"],
    each=[{"bars": 672}],
    lookback=lambda bars: bars + _SCALES[-1],
    unit="exponent",
    source="Mandelbrot & Van Ness (1968): growth of the log price's root mean square change from 1 to 64 bars",
)
def hurst(frame: Bars, bars: int) -> Array:
    """The exponent by which changes grow with their horizon (0.5 random walk, above trending); 0.5 at rest."""
    log_price = frame.log_close
    total, still = np.zeros(len(frame)), np.zeros(len(frame), dtype=np.bool_)
    for weight, scale in zip(_SLOPE_WEIGHTS / 2, _SCALES, strict=True):
        spread = rolling_sum((log_price - shift(log_price, scale)) ** 2, bars)
        still |= spread == 0
        total += weight * np.log(np.where(spread == 0, 1.0, spread))
    total[still] = 0.5
    return total


@feature(
    "fractal_dimension_{bars}",
    inputs=_HLC,
    each=[{"bars": 48}],
    lookback=lambda bars: bars,
    unit="dimension",
    low=1,
    high=2,
    source="Ehlers (2005), FRAMA, not below a straight line's",
)
def fractal_dimension(frame: Bars, bars: int) -> Array:
    """How ragged the price's path is (1 straight, 1.5 random walk, 2 filling its range); 1.5 without a range."""
    half = bars // 2
    newer = frame.highest(half) - frame.lowest(half)
    halves = 2 * (newer + shift(newer, half))
    whole = frame.highest(bars) - frame.lowest(bars)
    return np.log2(np.maximum(ratio(halves, whole, 2 * math.sqrt(2)), 2))
