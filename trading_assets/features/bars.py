"""The bars of one market as arrays, and the series that several features share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.features.windows import (
    NEGLIGIBLE,
    Array,
    ewma,
    ewma_memory,
    rolling_max,
    rolling_min,
    rolling_sum,
    shift,
)

INPUTS: Final = ("ts", "open", "high", "low", "close", "volume")


class Bars:
    """Consecutive bars of one market, ascending; what every feature function gets.

    Attributes
    ----------
    ts
        Open time, microseconds since 1970 UTC.
    open, high, low, close, volume
        Prices in the quote currency, volume in base units.
    """

    def __init__(
        self, ts: npt.NDArray[np.int64], open_: Array, high: Array, low: Array, close: Array, volume: Array
    ) -> None:
        self.ts = ts
        self.open = open_
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self._kept: dict[tuple[str, int], Array] = {}

    def __len__(self) -> int:
        return len(self.ts)

    @cached_property
    def previous_close(self) -> Array:
        """The close before."""
        return shift(self.close, 1)

    @cached_property
    def change(self) -> Array:
        """Close minus the close before."""
        return self.close - self.previous_close

    @cached_property
    def log_return(self) -> Array:
        """Logarithm of close over the close before."""
        return np.log(self.close / self.previous_close)

    @cached_property
    def squared_return(self) -> Array:
        """The squared log return."""
        return self.log_return**2

    @cached_property
    def typical(self) -> Array:
        """(high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3

    @cached_property
    def true_range(self) -> Array:
        """The bar's range, extended to the close before (Wilder 1978)."""
        return np.maximum(self.high, self.previous_close) - np.minimum(self.low, self.previous_close)

    @cached_property
    def quote_volume(self) -> Array:
        """Typical price times volume."""
        return self.typical * self.volume

    def ema(self, bars: int) -> Array:
        """Exponential moving average of the close, alpha = 2 / (bars + 1)."""
        return self._keep("ema", bars, lambda: ewma(self.close, 2 / (bars + 1), ema_memory(bars)))

    def atr(self, bars: int) -> Array:
        """Average true range, smoothed with alpha = 1 / bars (Wilder 1978)."""
        return self._keep("atr", bars, lambda: ewma(self.true_range, 1 / bars))

    def highest(self, bars: int) -> Array:
        """The highest high of the last ``bars`` bars."""
        return self._keep("highest", bars, lambda: rolling_max(self.high, bars))

    def lowest(self, bars: int) -> Array:
        """The lowest low of the last ``bars`` bars."""
        return self._keep("lowest", bars, lambda: rolling_min(self.low, bars))

    def volume_sum(self, bars: int) -> Array:
        """The volume of the last ``bars`` bars."""
        return self._keep("volume_sum", bars, lambda: rolling_sum(self.volume, bars))

    def realised_variance(self, bars: int) -> Array:
        """The sum of squared log returns over the last ``bars`` bars."""
        return self._keep("realised_variance", bars, lambda: rolling_sum(self.squared_return, bars))

    def _keep(self, name: str, bars: int, make: Callable[[], Array]) -> Array:
        if (name, bars) not in self._kept:
            self._kept[name, bars] = make()
        return self._kept[name, bars]


def ema_memory(bars: int) -> int:
    """The look-back of :meth:`Bars.ema`: weights below 1e-15, for long averages below 1e-9."""
    return ewma_memory(2 / (bars + 1), NEGLIGIBLE if bars <= 100 else 1e-9)
