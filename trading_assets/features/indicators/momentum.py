"""Momentum: how fast and how one-sidedly the price moves."""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.bars import Bars, ema_memory
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY, WEEK, Span
from trading_assets.features.framework.windows import (
    Array,
    ewma,
    ewma_memory,
    mean_absolute_deviation,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    shift,
)

_HLC = ("high", "low", "close")
_STILL = 1e-9
"""A range of the relative strength index below this is rounding."""


def relative_strength(frame: Bars, bars: int) -> Array:
    """Wilder's relative strength index, as :func:`rsi` gives it."""
    gain = ewma(np.maximum(frame.change, 0), 1 / bars)
    loss = ewma(np.maximum(-frame.change, 0), 1 / bars)
    return 100 * ratio(gain, gain + loss, 0.5)


def _rsi_lookback(bars: int) -> int:
    return ewma_memory(1 / bars) + 1


@feature(
    "rsi_{bars}",
    inputs=["close"],
    each=[{"bars": 14}, {"bars": 28}],
    lookback=_rsi_lookback,
    unit="percent",
    low=0,
    high=100,
    source="Wilder (1978); TA-Lib RSI",
)
def rsi(frame: Bars, bars: int) -> Array:
    """Relative strength index; 50 at a constant price."""
    return frame.once(relative_strength, bars=bars)


@feature(
    "stoch_rsi_{bars}",
    inputs=["close"],
    each=[{"bars": 14, "smooth": 3}],
    lookback=lambda bars, smooth: _rsi_lookback(bars) + bars + smooth - 2,
    unit="percent",
    low=0,
    high=100,
    source="Chande & Kroll (1994); TA-Lib STOCHRSI (fastd)",
)
def stochasticrelative_strength(frame: Bars, bars: int, smooth: int) -> Array:
    """Where the relative strength index stands within its own range, smoothed; 50 without a range."""
    value = frame.once(relative_strength, bars=bars)
    lowest = rolling_min(value, bars)
    width = rolling_max(value, bars) - lowest
    width[width < _STILL] = 0
    return rolling_mean(100 * ratio(value - lowest, width, 0.5), smooth)


@feature(
    "stoch_k_{bars}",
    "stoch_d_{bars}",
    inputs=_HLC,
    each=[{"bars": 14, "smooth_k": 3, "smooth_d": 3}],
    lookback=lambda bars, smooth_k, smooth_d: bars + smooth_k + smooth_d - 2,
    unit="percent",
    low=0,
    high=100,
    source="Lane (1984); TA-Lib STOCH",
)
def stochastic(frame: Bars, bars: int, smooth_k: int, smooth_d: int) -> tuple[Array, ...]:
    """Where the close stands within the range of the last bars, smoothed once (k) and twice (d); 50 without a range."""
    lowest = frame.lowest(bars)
    k = rolling_mean(100 * ratio(frame.close - lowest, frame.highest(bars) - lowest, 0.5), smooth_k)
    return k, rolling_mean(k, smooth_d)


@feature(
    "williams_r_{bars}",
    inputs=_HLC,
    each=[{"bars": 28}],
    lookback=lambda bars: bars,
    unit="percent",
    low=-100,
    high=0,
    source="Williams (1973); TA-Lib WILLR",
)
def williams_r(frame: Bars, bars: int) -> Array:
    """How far the close is below the range's top; -50 without a range."""
    highest = frame.highest(bars)
    return -100 * ratio(highest - frame.close, highest - frame.lowest(bars), 0.5)


@feature(
    "roc_{bars}",
    inputs=["close"],
    each=[{"bars": 1}, {"bars": 4}, {"bars": 16}, {"bars": Span("12h")}, {"bars": DAY}, {"bars": WEEK}],
    minimum=2,
    lookback=lambda bars: bars + 1,
    unit="fraction",
    low=-1,
    source="TA-Lib ROCP",
)
def rate_of_change(frame: Bars, bars: int) -> Array:
    """Relative change of the close."""
    return frame.close / shift(frame.close, bars) - 1


@feature(
    "cci_{bars}",
    inputs=_HLC,
    each=[{"bars": 20}],
    lookback=lambda bars: bars,
    unit="multiples of 0.015 mean absolute deviations",
    source="Lambert (1980); TA-Lib CCI",
)
def commodity_channel_index(frame: Bars, bars: int) -> Array:
    """Distance of the typical price from its mean in terms of its usual distance; 0 at a constant price."""
    mean = rolling_mean(frame.typical, bars)
    deviation = mean_absolute_deviation(frame.typical, mean, bars)
    still = deviation <= 1e-13 * mean
    return ratio(frame.typical - mean, np.where(still, 0.0, 0.015 * deviation), 0.0)


@feature(
    "tsi_{slow}_{fast}",
    inputs=["close"],
    each=[{"slow": 25, "fast": 13}],
    lookback=lambda slow, fast: ema_memory(slow) + ema_memory(fast),
    unit="percent",
    low=-100,
    high=100,
    source="Blau (1991)",
)
def true_strength_index(frame: Bars, slow: int, fast: int) -> Array:
    """Twice smoothed change over the twice smoothed absolute change; 0 at a constant price."""

    def smooth(values: Array) -> Array:
        return ewma(ewma(values, 2 / (slow + 1)), 2 / (fast + 1))

    return 100 * ratio(smooth(frame.change), smooth(np.abs(frame.change)), 0.0)


@feature(
    "ultimate_oscillator",
    inputs=_HLC,
    each=[{"short": 7, "medium": 14, "long": 28}],
    lookback=lambda short, medium, long: long + 1,
    unit="percent",
    low=0,
    high=100,
    source="Williams (1985); TA-Lib ULTOSC",
)
def ultimate_oscillator(frame: Bars, short: int, medium: int, long: int) -> Array:
    """Buying pressure over true range on three horizons, weighted 4:2:1; 50 without a range."""
    pressure = frame.close - np.minimum(frame.low, frame.previous_close)

    def share(bars: int) -> Array:
        return ratio(rolling_sum(pressure, bars), rolling_sum(frame.true_range, bars), 0.5)

    return 100 * (4 * share(short) + 2 * share(medium) + share(long)) / 7


@feature(
    "body_share",
    inputs=["open", *_HLC],
    lookback=1,
    unit="fraction of the range",
    low=-1,
    high=1,
    source="balance of power; TA-Lib BOP",
)
def body_share(frame: Bars) -> Array:
    """Close minus open over the bar's range; 0 without a range."""
    return ratio(frame.close - frame.open, frame.high - frame.low, 0.0)
