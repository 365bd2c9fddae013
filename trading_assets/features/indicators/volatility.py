"""Volatility: how far the price moves, by several estimators. Per-bar values, not annualised."""

from __future__ import annotations

import math

import numpy as np

from trading_assets.features.framework.bars import Bars, ema_memory
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, FOUR_HOURS, WEEK
from trading_assets.features.framework.windows import (
    Array,
    ewma,
    ewma_memory,
    largest_ways,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_sum,
    shift,
    variance_from_sums,
)

_HLC = ("high", "low", "close")
_OHLC = ("open", *_HLC)


@feature(
    "natr_{bars}",
    inputs=_HLC,
    each=[{"bars": 14}],
    lookback=lambda bars: ewma_memory(1 / bars) + 1,
    unit="fraction of the close",
    low=0,
    source="Wilder (1978); TA-Lib NATR / 100",
)
def normalised_atr(frame: Bars, bars: int) -> Array:
    """Average true range over the close."""
    return frame.atr(bars) / frame.close


@feature(
    "true_range_ratio_{bars}",
    inputs=_HLC,
    each=[{"bars": 14}],
    lookback=lambda bars: ewma_memory(1 / bars) + 1,
    unit="multiples of the average",
    low=0,
    source="TA-Lib TRANGE / ATR",
)
def true_range_ratio(frame: Bars, bars: int) -> Array:
    """The bar's true range over the average true range; 1 where there is none."""
    return ratio(frame.true_range, frame.atr(bars), 1.0)


@feature(
    "realised_volatility_{bars}",
    inputs=["close"],
    each=[{"bars": 16}, {"bars": DAY}, {"bars": WEEK}],
    lookback=lambda bars: bars + 1,
    unit="log return per bar",
    low=0,
    source="root mean square of log returns; Andersen & Bollerslev (1998)",
)
def realised_volatility(frame: Bars, bars: int) -> Array:
    """Root mean square of the log returns."""
    return np.sqrt(frame.realised_variance(bars) / bars)


@feature(
    "volatility_ratio_{short}_{long}",
    inputs=["close"],
    each=[{"short": FOUR_HOURS, "long": DAY}, {"short": DAY, "long": WEEK}],
    lookback=lambda short, long: long + 1,
    unit="logarithm of the ratio",
    source="realised volatility on two horizons",
)
def volatility_ratio(frame: Bars, short: int, long: int) -> Array:
    """Logarithm of short over long realised volatility; 0 where the short one is 0."""
    quiet = frame.realised_variance(short) == 0
    share = ratio(frame.realised_variance(short) / short, frame.realised_variance(long) / long, 1.0)
    return np.log(np.where(quiet, 1.0, share)) / 2


@feature(
    "parkinson_{bars}",
    inputs=["high", "low"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="log return per bar",
    low=0,
    source="Parkinson (1980)",
)
def parkinson(frame: Bars, bars: int) -> Array:
    """Volatility from the bars' ranges."""
    return np.sqrt(rolling_mean(frame.log_range**2, bars) / (4 * math.log(2)))


@feature(
    "garman_klass_{bars}",
    inputs=_OHLC,
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="log return per bar",
    low=0,
    source="Garman & Klass (1980)",
)
def garman_klass(frame: Bars, bars: int) -> Array:
    """Volatility from range and body."""
    variance = frame.log_range**2 / 2 - (2 * math.log(2) - 1) * frame.log_body**2
    return np.sqrt(np.maximum(rolling_mean(variance, bars), 0))


def _rogers_satchell(frame: Bars) -> Array:
    up = np.log(frame.high / frame.open)
    down = up - frame.log_range
    shape: Array = up * (up - frame.log_body) + down * (down - frame.log_body)
    return shape


@feature(
    "rogers_satchell_{bars}",
    inputs=_OHLC,
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="log return per bar",
    low=0,
    source="Rogers & Satchell (1991)",
)
def rogers_satchell(frame: Bars, bars: int) -> Array:
    """Volatility from the bars' shapes, whatever the drift."""
    return np.sqrt(np.maximum(rolling_mean(frame.once(_rogers_satchell), bars), 0))


def _return_variance(returns: Array, bars: int) -> Array:
    return variance_from_sums(rolling_sum(returns, bars), rolling_sum(returns**2, bars), bars)


@feature(
    "yang_zhang_{bars}",
    inputs=_OHLC,
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="log return per bar",
    low=0,
    source="Yang & Zhang (2000)",
)
def yang_zhang(frame: Bars, bars: int) -> Array:
    """Volatility from opening jumps, bodies and shapes, whatever the drift."""
    unbiased = bars / (bars - 1)
    jump = _return_variance(np.log(frame.open / frame.previous_close), bars) * unbiased
    body = _return_variance(frame.log_body, bars) * unbiased
    weight = 0.34 / (1.34 + (bars + 1) / (bars - 1))
    shape = np.maximum(rolling_mean(frame.once(_rogers_satchell), bars), 0)
    return np.sqrt(jump + weight * body + (1 - weight) * shape)


@feature(
    "downside_share_{bars}",
    inputs=["close"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="share of the variance",
    low=0,
    high=1,
    source="realised semivariance; Barndorff-Nielsen, Kinnebrock & Shephard (2010)",
)
def downside_share(frame: Bars, bars: int) -> Array:
    """Share of the realised variance that came from falls; 0.5 at a constant price."""
    falls = frame.squared_return * (frame.log_return <= 0)
    return ratio(rolling_sum(falls, bars), frame.realised_variance(bars), 0.5)


@feature(
    "realised_skewness_{bars}",
    inputs=["close"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="standardised third moment",
    source="Amaya, Christoffersen, Jacobs & Vasquez (2015)",
)
def realised_skewness(frame: Bars, bars: int) -> Array:
    """Skewness of the log returns around zero; 0 at a constant price."""
    variance = frame.realised_variance(bars)
    cubes = rolling_sum(frame.squared_return * frame.log_return, bars)
    return ratio(math.sqrt(bars) * cubes, variance * np.sqrt(variance), 0.0)


@feature(
    "realised_kurtosis_{bars}",
    inputs=["close"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit="standardised fourth moment",
    low=0,
    source="Amaya, Christoffersen, Jacobs & Vasquez (2015)",
)
def realised_kurtosis(frame: Bars, bars: int) -> Array:
    """Kurtosis of the log returns around zero; 0 at a constant price."""
    fourth = rolling_sum(frame.squared_return**2, bars)
    return ratio(bars * fourth, frame.realised_variance(bars) ** 2, 0.0)


@feature(
    "chaikin_volatility_{bars}",
    inputs=["high", "low"],
    each=[{"bars": 10}],
    lookback=lambda bars: ema_memory(bars) + bars,
    unit="fraction",
    low=-1,
    source="Chaikin (1980s)",
)
def chaikin_volatility(frame: Bars, bars: int) -> Array:
    """Relative change of the range's exponential mean; 0 where there was no range."""
    mean = ewma(frame.high - frame.low, 2 / (bars + 1))
    return ratio(mean, shift(mean, bars), 1.0) - 1


@feature(
    "ulcer_{bars}",
    inputs=["close"],
    each=[{"bars": 14}],
    lookback=lambda bars: 2 * bars - 1,
    unit="fraction of the highest close",
    low=0,
    source="Martin & McCann (1989)",
)
def ulcer_index(frame: Bars, bars: int) -> Array:
    """Root mean square of the falls below the highest close."""
    return np.sqrt(rolling_mean((frame.close / rolling_max(frame.close, bars) - 1) ** 2, bars))


@feature(
    "largest_fall_{bars}",
    "largest_rise_{bars}",
    inputs=["close"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars,
    unit="fraction",
    low=0,
    high=(1, None),
    source="maximum drawdown and its mirror image",
)
def maximum_drawdown(frame: Bars, bars: int) -> tuple[Array, ...]:
    """The largest fall from one close to a later one, and the largest rise."""
    fall, rise = largest_ways(frame.log_close, bars)
    return -np.expm1(-fall), np.expm1(rise)


@feature(
    "bipower_{bars}",
    "jump_share_{bars}",
    inputs=["close"],
    each=[{"bars": DAY}],
    lookback=lambda bars: bars + 1,
    unit=("log return per bar", "share of the variance"),
    low=0,
    high=(None, 1),
    source="Barndorff-Nielsen & Shephard (2004)",
)
def bipower_variation(frame: Bars, bars: int) -> tuple[Array, ...]:
    """Volatility without jumps, and the share of the realised variance that jumps made; both 0 at a constant price."""
    move = np.abs(frame.log_return)
    steady = math.pi / 2 * rolling_sum(move * shift(move, 1), bars - 1) / (bars - 1)
    whole = frame.realised_variance(bars) / bars
    return np.sqrt(steady), np.maximum(1 - ratio(steady, whole, 1.0), 0)


@feature(
    "ewma_volatility",
    inputs=["close"],
    lookback=ewma_memory(0.06) + 1,
    unit="log return per bar",
    low=0,
    source="RiskMetrics (1996), decay 0.94",
)
def ewma_volatility(frame: Bars) -> Array:
    """Root of the exponential mean of squared log returns."""
    return np.sqrt(ewma(frame.squared_return, 0.06))
