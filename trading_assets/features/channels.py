"""Channels that follow the price and turn with it."""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_assets.features.bars import Bars
from trading_assets.features.registry import feature
from trading_assets.features.windows import Array, ewma_memory

_MEMORY: Final = 64
"""Bars that the bands are drawn over; on recorded candles the direction is the endless band's in 99 % of the bars."""

_OUT_OF_SIGHT: Final = 1e300
"""Added to a band that was crossed: the next one begins anew."""


@feature(
    "supertrend_direction_{bars}",
    "supertrend_distance_{bars}",
    inputs=["high", "low", "close"],
    each=[{"bars": 10, "multiple": 3}],
    lookback=lambda bars, multiple: ewma_memory(1 / bars) + _MEMORY,
    unit="direction: -1 down, 1 up; distance: fraction of the line",
    source="Seban (2000s), begun 64 bars ago: its bands as they would be drawn from there",
)
def supertrend(frame: Bars, bars: int, multiple: int) -> tuple[Array, ...]:
    """Which of two bands at average true ranges from the price was crossed last, and how far the close is above it.

    A band only moves towards the price until the price crosses it. Where the first bar closed below the middle of its
    range, the trend begins downwards.
    """
    begin = ewma_memory(1 / bars)  # the first bar with an average true range
    rows = max(len(frame) - begin - _MEMORY + 1, 0)
    middle, reach = (frame.high + frame.low) / 2, multiple * frame.atr(bars)
    # the lower band is the upper one of the mirrored price
    close, basic = np.stack([frame.close, -frame.close]), np.stack([middle + reach, reach - middle])
    band = basic[:, begin : begin + rows].copy()
    rising = frame.close[begin : begin + rows] >= middle[begin : begin + rows]
    for step in range(begin + 1, begin + _MEMORY):
        gone = (close[:, step - 1 : step - 1 + rows] > band) * _OUT_OF_SIGHT
        gone += band
        np.minimum(gone, basic[:, step : step + rows], out=band)
        above, below = close[:, step : step + rows] > band
        rising &= ~below
        rising |= above
    line = np.where(rising, -band[1], band[0])
    distance = frame.close[len(frame) - rows :] / line - 1
    result = np.full((2, len(frame)), np.nan)
    result[0, len(frame) - rows :] = np.where(rising, 1.0, -1.0) + 0 * distance
    result[1, len(frame) - rows :] = distance
    return result[0], result[1]
