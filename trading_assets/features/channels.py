"""Channels that follow the price and turn with it."""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_assets.features.bars import Bars
from trading_assets.features.registry import feature
from trading_assets.features.windows import Array, ewma_memory

_MEMORY: Final = 96
"""Bars that the bands are drawn over; on recorded candles the direction is the endless band's in 99.9 % of the bars."""

_OUT_OF_SIGHT: Final = 1e300
"""Added to a band that was crossed: the next one begins anew."""


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
    # the lower band is the upper one of the mirrored price
    close, basic = np.stack([frame.close, -frame.close]), np.stack([middle + reach, reach - middle])
    band = basic[:, :rows].copy()
    rising = frame.close[:rows] >= middle[:rows]
    for step in range(1, _MEMORY):
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
