"""Channels that follow the price and turn with it."""

from __future__ import annotations

import numpy as np

from trading_assets.features.bars import Bars
from trading_assets.features.registry import feature
from trading_assets.features.windows import Array, ewma_memory

_MEMORY = 96


@feature(
    "supertrend_direction_{bars}",
    "supertrend_distance_{bars}",
    inputs=["high", "low", "close"],
    each=[{"bars": 10, "multiple": 3}],
    lookback=lambda bars, multiple: ewma_memory(1 / bars) + _MEMORY,
    unit="direction: -1 down, 1 up; distance: fraction of the line",
    source="Seban (2000s), begun a day ago: its bands as they would be drawn from there",
)
def supertrend(frame: Bars, bars: int, multiple: int) -> tuple[Array, ...]:
    """Which of two bands at average true ranges from the price was crossed last, and how far the close is above it.

    A band only moves towards the price until the price crosses it. Where the day began below the middle of the bar's
    range, the trend begins downwards.
    """
    rows = max(len(frame) - _MEMORY + 1, 0)
    middle, reach = (frame.high + frame.low) / 2, multiple * frame.atr(bars)
    basic_upper, basic_lower, close = middle + reach, middle - reach, frame.close
    upper, lower = basic_upper[:rows].copy(), basic_lower[:rows].copy()
    rising = close[:rows] >= middle[:rows]
    for step in range(1, _MEMORY):
        here, before = slice(step, step + rows), slice(step - 1, step - 1 + rows)
        broken_up, broken_down = close[before] > upper, close[before] < lower
        np.minimum(upper, basic_upper[here], out=upper)
        np.copyto(upper, basic_upper[here], where=broken_up)
        np.maximum(lower, basic_lower[here], out=lower)
        np.copyto(lower, basic_lower[here], where=broken_down)
        rising &= ~(close[here] < lower)
        rising |= close[here] > upper
    line = np.where(rising, lower, upper)
    direction, distance = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    distance[len(frame) - rows :] = close[len(frame) - rows :] / line - 1
    direction[len(frame) - rows :] = np.where(rising, 1.0, -1.0)
    return direction + 0 * distance, distance
