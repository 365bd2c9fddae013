"""Channels that follow the price and turn with it."""

from __future__ import annotations

from typing import Final

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.windows import Array, ewma_memory, kernels

_MEMORY: Final = 64
"""Bars that the bands are drawn over; on recorded candles the direction is the endless band's in 99 % of the bars."""


@feature(
    "supertrend_direction_{bars}",
    "supertrend_distance_{bars}",
    inputs=["high", "low", "close"],
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
