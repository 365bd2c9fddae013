"""Channels around the price: where it stands between their edges, how wide they are, which way they turn."""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_assets.features.framework.bars import Bars, ema_memory
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY
from trading_assets.features.framework.windows import Array, ewma_memory, kernels, ratio, rolling_mean

_HLC = ("high", "low", "close")
_MEMORY: Final = 64
"""Bars that the bands are drawn over; on recorded candles the direction is the endless band's in 99 % of the bars."""


@feature(
    "supertrend_direction_{bars}",
    "supertrend_distance_{bars}",
    inputs=_HLC,
    each=[{"bars": 10, "multiple": 3}],
    lookback=lambda bars, multiple: ewma_memory(1 / bars) + _MEMORY,
    unit=("-1 down, 1 up", "fraction of the close"),
    low=(-1, None),
    high=(1, None),
    source="Seban (2000s), begun 64 bars ago: its bands as they would be drawn from there",
)
def supertrend(frame: Bars, bars: int, multiple: int) -> tuple[Array, ...]:
    """Which of two bands at average true ranges from the price was crossed last, and how far the close is above it.

    A band only moves towards the price until the price crosses it. Where the first bar closed below the middle of its
    range, the trend begins downwards.
    """
    middle, reach = (frame.high + frame.low) / 2, multiple * frame.atr(bars)
    line, rising = kernels().bands(frame.close, middle, reach, _MEMORY)
    distance = 1 - line / frame.close
    return 2 * rising - 1 + 0 * distance, distance


@feature(
    "bollinger_percent_b_{bars}",
    "bollinger_width_{bars}",
    inputs=["close"],
    each=[{"bars": 20, "deviations": 2}],
    lookback=lambda bars, deviations: bars,
    unit=("share of the band", "fraction of the mean"),
    low=(None, 0),
    source="Bollinger (2001); TA-Lib BBANDS",
)
def bollinger(frame: Bars, bars: int, deviations: int) -> tuple[Array, ...]:
    """Position of the close between the bands (0 lower, 1 upper; 0.5 at a constant price), and their distance."""
    mean = rolling_mean(frame.close, bars)
    half = deviations * np.sqrt(frame.close_variance(bars))
    return 0.5 + ratio(frame.close - mean, np.where(half == 0, 0.0, 2 * half), 0.0), 2 * half / mean


@feature(
    "keltner_position_{bars}",
    inputs=_HLC,
    each=[{"bars": 21, "atr_bars": 14, "multiple": 2}],
    lookback=lambda bars, atr_bars, multiple: max(ema_memory(bars), ewma_memory(1 / atr_bars) + 1),
    unit="share of the half channel",
    source="Keltner (1960) as revised by Raschke: EMA and ATR",
)
def keltner_position(frame: Bars, bars: int, atr_bars: int, multiple: int) -> Array:
    """Distance of the close from its average in half channels; 0 where there is no range."""
    return ratio(frame.close - frame.ema(bars), multiple * frame.atr(atr_bars), 0.0)


@feature(
    "donchian_position_{bars}",
    "donchian_width_{bars}",
    inputs=_HLC,
    each=[{"bars": 20}, {"bars": DAY}],
    lookback=lambda bars: bars,
    unit=("share of the channel", "fraction of the close"),
    low=0,
    high=(1, None),
    source="Donchian (1960)",
)
def donchian(frame: Bars, bars: int) -> tuple[Array, ...]:
    """Position of the close in the channel of extremes (0 low, 1 high; 0.5 without a range), and its width."""
    lowest = frame.lowest(bars)
    width = frame.highest(bars) - lowest
    return ratio(frame.close - lowest, width, 0.5), width / frame.close


@feature(
    "squeeze_{bars}",
    inputs=_HLC,
    each=[{"bars": 20}],
    lookback=lambda bars: bars + 1,
    unit="logarithm of the ratio",
    source="Carter (2005): Bollinger (2) over Keltner (1.5) width",
)
def squeeze(frame: Bars, bars: int) -> Array:
    """Logarithm of the width of the Bollinger over that of the Keltner channel; 0 where either has none."""
    bollinger_, keltner = 2 * np.sqrt(frame.close_variance(bars)), 1.5 * rolling_mean(frame.true_range, bars)
    return np.log(np.where((bollinger_ == 0) | (keltner == 0), 1.0, bollinger_ / keltner))
