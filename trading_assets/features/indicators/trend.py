"""Trend: where the price stands and moves relative to its averages and extremes."""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.bars import Bars, ema_memory
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, WEEK
from trading_assets.features.framework.windows import (
    Array,
    bars_since_max,
    ewma,
    ewma_memory,
    ratio,
    rolling_line,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    shift,
)

_HLC = ("high", "low", "close")
_SLOPE_BARS = 10


@feature(
    "ema_{bars}_distance",
    inputs=["close"],
    each=[{"bars": 9}, {"bars": 21}, {"bars": 50}, {"bars": 200}],
    lookback=ema_memory,
    unit="fraction of the EMA",
    low=-1,
    indicator="exponential_moving_average",
    source="TA-Lib EMA",
)
def ema_distance(frame: Bars, bars: int) -> Array:
    """How far the close is above its exponential moving average."""
    return frame.close / frame.ema(bars) - 1


@feature(
    "ema_{bars}_slope",
    inputs=["close"],
    each=[{"bars": 9}, {"bars": 21}, {"bars": 50}, {"bars": 200}],
    lookback=lambda bars: ema_memory(bars) + _SLOPE_BARS,
    unit="fraction",
    low=-1,
    indicator="exponential_moving_average",
    source="TA-Lib EMA",
)
def ema_slope(frame: Bars, bars: int) -> Array:
    """Relative change of the exponential moving average over 10 bars."""
    ema = frame.ema(bars)
    return ema / shift(ema, _SLOPE_BARS) - 1


@feature(
    "macd",
    "macd_signal",
    "macd_hist",
    inputs=["close"],
    each=[{"fast": 12, "slow": 26, "signal": 9}],
    lookback=lambda fast, slow, signal: ema_memory(slow) + ema_memory(signal) - 1,
    unit="fraction of the close",
    source="Appel (1979); TA-Lib MACD over close",
)
def macd(frame: Bars, fast: int, slow: int, signal: int) -> tuple[Array, ...]:
    """Difference of two exponential moving averages, its own average (signal), and the difference of both (hist)."""
    return frame.once(convergence, fast=fast, slow=slow, signal=signal)


def convergence(frame: Bars, fast: int, slow: int, signal: int) -> tuple[Array, Array, Array]:
    """Line, signal and histogram, as :func:`macd` gives them."""
    line = frame.ema(fast) - frame.ema(slow)
    average = ewma(line, 2 / (signal + 1), ema_memory(signal))
    return line / frame.close, average / frame.close, (line - average) / frame.close


@feature(
    "adx_{bars}",
    "plus_di_{bars}",
    "minus_di_{bars}",
    inputs=_HLC,
    each=[{"bars": 14}],
    lookback=lambda bars: 2 * ewma_memory(1 / bars),
    unit="percent",
    low=0,
    high=100,
    source="Wilder (1978); TA-Lib ADX, PLUS_DI, MINUS_DI",
)
def directional_movement(frame: Bars, bars: int) -> tuple[Array, ...]:
    """Strength of the trend (adx) and share of upward and downward movement in the true range; 0 without any range."""
    return frame.once(directions, bars=bars)


def directions(frame: Bars, bars: int) -> tuple[Array, Array, Array]:
    """Average directional index and both indicators, as :func:`directional_movement` gives them."""
    rise = frame.high - shift(frame.high, 1)
    fall = shift(frame.low, 1) - frame.low
    up = ewma(rise * ((rise > fall) & (rise > 0)), 1 / bars)
    down = ewma(fall * ((fall > rise) & (fall > 0)), 1 / bars)
    range_ = frame.atr(bars)
    index = 100 * ratio(np.abs(up - down), up + down, 0.0)
    return ewma(index, 1 / bars), 100 * ratio(up, range_, 0.0), 100 * ratio(down, range_, 0.0)


@feature(
    "aroon_up_{bars}",
    "aroon_down_{bars}",
    "aroon_oscillator_{bars}",
    inputs=["high", "low"],
    each=[{"bars": 25}],
    lookback=lambda bars: bars + 1,
    unit="percent",
    low=(0, 0, -100),
    high=100,
    source="Chande (1995); TA-Lib AROON, AROONOSC",
)
def aroon(frame: Bars, bars: int) -> tuple[Array, ...]:
    """How recent the highest high (up) and the lowest low (down) are, and the difference."""
    up = 100 * (bars - bars_since_max(frame.high, bars + 1)) / bars
    down = 100 * (bars - bars_since_max(-frame.low, bars + 1)) / bars
    return up, down, up - down


@feature(
    "linear_slope_{bars}",
    "linear_r2_{bars}",
    inputs=["close"],
    each=[{"bars": 48}],
    lookback=lambda bars: bars,
    unit=("fraction of the close per bar", "share of variance"),
    low=(None, 0),
    high=(None, 1),
    source="least squares; TA-Lib LINEARREG_SLOPE over close",
)
def linear_regression(frame: Bars, bars: int) -> tuple[Array, ...]:
    """Slope and fit of the straight line through the closes; both 0 at a constant price."""
    slope, r2 = rolling_line(frame.close, bars)
    return slope / frame.close, r2


@feature(
    "trix_{bars}",
    inputs=["close"],
    each=[{"bars": 15}],
    lookback=lambda bars: 3 * ema_memory(bars) - 1,
    unit="fraction per bar",
    source="Hutson (1983); TA-Lib TRIX / 100",
)
def trix(frame: Bars, bars: int) -> Array:
    """Relative change of the triple-smoothed close in one bar."""
    alpha = 2 / (bars + 1)
    smooth = ewma(ewma(frame.ema(bars), alpha), alpha)
    return smooth / shift(smooth, 1) - 1


@feature(
    "sma_{bars}_distance",
    inputs=["close"],
    each=[{"bars": DAY}, {"bars": WEEK}],
    lookback=lambda bars: bars,
    unit="fraction of the mean",
    low=-1,
    source="mean of the last day and week",
)
def sma_distance(frame: Bars, bars: int) -> Array:
    """How far the close is above its mean over a day or a week."""
    return frame.close / rolling_mean(frame.close, bars) - 1


@feature(
    "high_{bars}_distance",
    "low_{bars}_distance",
    inputs=_HLC,
    each=[{"bars": DAY}, {"bars": WEEK}],
    lookback=lambda bars: bars,
    unit="fraction of the extreme",
    low=(-1, 0),
    high=(0, None),
    source="extremes of the last day and week",
)
def extreme_distance(frame: Bars, bars: int) -> tuple[Array, ...]:
    """How far the close is from the highest high (at most 0) and the lowest low (at least 0)."""
    return frame.close / frame.highest(bars) - 1, frame.close / frame.lowest(bars) - 1


@feature(
    "adxr_{bars}",
    inputs=_HLC,
    each=[{"bars": 14}],
    lookback=lambda bars: 2 * ewma_memory(1 / bars) + bars - 1,
    unit="percent",
    low=0,
    high=100,
    source="Wilder (1978); TA-Lib ADXR",
)
def directional_rating(frame: Bars, bars: int) -> Array:
    """Mean of the present average directional index and that of ``bars - 1`` bars ago."""
    adx = frame.once(directions, bars=bars)[0]
    return (adx + shift(adx, bars - 1)) / 2


@feature(
    "vortex_up_{bars}",
    "vortex_down_{bars}",
    inputs=_HLC,
    each=[{"bars": 14}],
    lookback=lambda bars: bars + 1,
    unit="ratio",
    low=0,
    source="Botes & Siepman (2010)",
)
def vortex(frame: Bars, bars: int) -> tuple[Array, ...]:
    """Upward and downward movement between bars over the true range; 1 where there is none."""
    whole = rolling_sum(frame.true_range, bars)
    up = rolling_sum(np.abs(frame.high - shift(frame.low, 1)), bars)
    down = rolling_sum(np.abs(frame.low - shift(frame.high, 1)), bars)
    return ratio(up, whole, 1.0), ratio(down, whole, 1.0)


@feature(
    "mass_index_{bars}",
    inputs=["high", "low"],
    each=[{"bars": 25}],
    lookback=lambda bars: 2 * ema_memory(9) + bars - 2,
    unit="ratio",
    low=0,
    source="Dorsey (1992), mean instead of sum",
)
def mass_index(frame: Bars, bars: int) -> Array:
    """Mean ratio of the range's exponential mean to its own mean; 1 without a range."""
    once = ewma(frame.high - frame.low, 2 / 10)
    return rolling_mean(ratio(once, ewma(once, 2 / 10), 1.0), bars)


@feature(
    "detrended_price_{bars}",
    inputs=["close"],
    each=[{"bars": 20}],
    lookback=lambda bars: bars,
    unit="fraction of the mean",
    low=-1,
    source="detrended price oscillator, without its look-ahead form",
)
def detrended_price(frame: Bars, bars: int) -> Array:
    """How far the close of half a window ago is above the mean of the window."""
    return shift(frame.close, bars // 2 + 1) / rolling_mean(frame.close, bars) - 1


@feature(
    "horizontal_filter_{bars}",
    inputs=["close"],
    each=[{"bars": 28}],
    lookback=lambda bars: bars + 1,
    unit="share of the path",
    low=0,
    high=1,
    source="White (1991), vertical horizontal filter",
)
def vertical_horizontal_filter(frame: Bars, bars: int) -> Array:
    """Range of the closes over the length of their path; 0 at a constant price."""
    whole = rolling_max(frame.close, bars + 1) - rolling_min(frame.close, bars + 1)
    return ratio(whole, rolling_sum(np.abs(frame.change), bars), 0.0)


@feature(
    "trend_intensity_{bars}",
    inputs=["close"],
    each=[{"bars": 30}],
    lookback=lambda bars: 2 * bars - 1,
    unit="percent",
    low=0,
    high=100,
    source="Pee (2002)",
)
def trend_intensity(frame: Bars, bars: int) -> Array:
    """Share of the distances from the mean that were upward; 50 at a constant price."""
    distance = frame.close - rolling_mean(frame.close, bars)
    distance[np.abs(distance) <= 1e-12 * frame.close] = 0
    return 100 * ratio(rolling_sum(np.maximum(distance, 0), bars), rolling_sum(np.abs(distance), bars), 0.5)


@feature(
    "bull_power_{bars}",
    "bear_power_{bars}",
    inputs=_HLC,
    each=[{"bars": 13}],
    lookback=ema_memory,
    unit="fraction of the close",
    source="Elder (1993)",
)
def elder_ray(frame: Bars, bars: int) -> tuple[Array, ...]:
    """How far the high and the low are above the exponential mean of the close."""
    return (frame.high - frame.ema(bars)) / frame.close, (frame.low - frame.ema(bars)) / frame.close
