"""The bars of one market as arrays, and the series that several features share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final, cast

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
    variance_from_sums,
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
        self._kept: dict[object, object] = {}

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
    def log_range(self) -> Array:
        """Logarithm of high over low."""
        return np.log(self.high / self.low)

    @cached_property
    def log_body(self) -> Array:
        """Logarithm of close over open."""
        return np.log(self.close / self.open)

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
        return self.once(_ema, bars=bars)

    def atr(self, bars: int) -> Array:
        """Average true range, smoothed with alpha = 1 / bars (Wilder 1978)."""
        return self.once(_atr, bars=bars)

    def highest(self, bars: int) -> Array:
        """The highest high of the last ``bars`` bars."""
        return self.once(_highest, bars=bars)

    def lowest(self, bars: int) -> Array:
        """The lowest low of the last ``bars`` bars."""
        return self.once(_lowest, bars=bars)

    def volume_sum(self, bars: int) -> Array:
        """The volume of the last ``bars`` bars."""
        return self.once(_volume_sum, bars=bars)

    def volume_variance(self, bars: int) -> Array:
        """The population variance of the volume over the last ``bars`` bars."""
        return self.once(_volume_variance, bars=bars)

    def realised_variance(self, bars: int) -> Array:
        """The sum of squared log returns over the last ``bars`` bars."""
        return self.once(_realised_variance, bars=bars)

    def once[T](self, function: Callable[..., T], **parameters: int) -> T:
        """``function(self, **parameters)``, computed once however many features ask for it."""
        key = (function, *parameters.items())
        if key not in self._kept:
            self._kept[key] = function(self, **parameters)
        return cast("T", self._kept[key])


def _ema(frame: Bars, bars: int) -> Array:
    return ewma(frame.close, 2 / (bars + 1), ema_memory(bars))


def _atr(frame: Bars, bars: int) -> Array:
    return ewma(frame.true_range, 1 / bars)


def _highest(frame: Bars, bars: int) -> Array:
    return rolling_max(frame.high, bars)


def _lowest(frame: Bars, bars: int) -> Array:
    return rolling_min(frame.low, bars)


def _volume_sum(frame: Bars, bars: int) -> Array:
    return rolling_sum(frame.volume, bars)


def _volume_variance(frame: Bars, bars: int) -> Array:
    return variance_from_sums(frame.volume_sum(bars), rolling_sum(frame.volume**2, bars), bars)


def _realised_variance(frame: Bars, bars: int) -> Array:
    return rolling_sum(frame.squared_return, bars)


def ema_memory(bars: int) -> int:
    """The look-back of :meth:`Bars.ema`: until weights are below 1e-15, for averages over 100 bars below 2e-9."""
    return ewma_memory(2 / (bars + 1), NEGLIGIBLE if bars <= 100 else 2e-9)
