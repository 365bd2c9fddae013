"""The bars of one market as arrays, and the series that several features share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, cast, overload

import numpy as np
import numpy.typing as npt

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.higher_bars import Higher
from trading_assets.features.framework.windows import (
    NEGLIGIBLE,
    Array,
    ewma,
    ewma_memory,
    rolling_max,
    rolling_min,
    rolling_sum,
    rolling_var,
    shift,
    variance_from_sums,
)

INPUTS: Final = ("ts", "open", "high", "low", "close", "volume")


class _kept:  # noqa: N801 - used as a decorator
    """A property that is computed once, and not for bars of which a longer frame has it."""

    def __init__(self, function: Callable[[Bars], Array]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, frame: None, owner: type[Bars]) -> _kept: ...
    @overload
    def __get__(self, frame: Bars, owner: type[Bars]) -> Array: ...
    def __get__(self, frame: Bars | None, owner: type[Bars]) -> Array | _kept:
        if frame is None:
            return self
        values = frame.once(self._function)
        frame.__dict__[self._function.__name__] = values
        return values


class Bars:
    """Consecutive bars of one market, ascending; what every feature function gets.

    Attributes
    ----------
    ts
        Open time, microseconds since 1970 UTC.
    open, high, low, close, volume
        Prices in the quote currency, volume in base units.
    timeframe
        The bars' length; windows in time are so many of them.
    companions
        ``companion.column`` -> what was known of it at each bar's ``known_at``, NaN where nothing was.
    wanted
        How many of the newest bars anyone asks for a value of: what costs time for each bar may leave out others.
    """

    def __init__(
        self,
        ts: npt.NDArray[np.int64],
        open_: Array,
        high: Array,
        low: Array,
        close: Array,
        volume: Array,
        *,
        timeframe: Timeframe,
        companions: Mapping[str, Array] = MappingProxyType({}),
        wanted: int | None = None,
    ) -> None:
        self.ts = ts
        self.open = open_
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self.timeframe = timeframe
        self.companions = companions
        self.wanted = len(ts) if wanted is None else wanted
        self._kept: dict[object, object] = {}
        self._longest: dict[object, object] = {}

    def __len__(self) -> int:
        return len(self.ts)

    def newest(self, bars: int, *, shared: bool = True) -> Bars:
        """The newest ``bars`` bars; where ``shared``, what was computed of the others too is not computed again."""
        if bars == len(self) and shared:
            return self
        part = slice(len(self) - bars, None)
        shorter = Bars(
            self.ts[part],
            self.open[part],
            self.high[part],
            self.low[part],
            self.close[part],
            self.volume[part],
            timeframe=self.timeframe,
            companions={name: column[part] for name, column in self.companions.items()},
            wanted=self.wanted,
        )
        if shared:
            shorter._longest = self._longest
        return shorter

    @_kept
    def previous_close(self) -> Array:
        """The close before."""
        return shift(self.close, 1)

    @_kept
    def change(self) -> Array:
        """Close minus the close before."""
        return self.close - self.previous_close

    @_kept
    def log_return(self) -> Array:
        """Logarithm of close over the close before."""
        return np.log(self.close / self.previous_close)

    @_kept
    def squared_return(self) -> Array:
        """The squared log return."""
        return self.log_return**2

    @_kept
    def log_range(self) -> Array:
        """Logarithm of high over low."""
        return np.log(self.high / self.low)

    @_kept
    def log_body(self) -> Array:
        """Logarithm of close over open."""
        return np.log(self.close / self.open)

    @_kept
    def typical(self) -> Array:
        """(high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3

    @_kept
    def true_range(self) -> Array:
        """The bar's range, extended to the close before (Wilder 1978)."""
        return np.maximum(self.high, self.previous_close) - np.minimum(self.low, self.previous_close)

    @_kept
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

    def companion(self, column: str) -> Array:
        """A column of a companion, as ``companion.column``; all NaN where the caller gave none."""
        joined = self.companions.get(column)
        return np.full(len(self), np.nan) if joined is None else joined

    def close_variance(self, bars: int) -> Array:
        """The population variance of the close over the last ``bars`` bars."""
        return self.once(_close_variance, bars=bars)

    @_kept
    def log_close(self) -> Array:
        """Logarithm of the close."""
        return np.log(self.close)

    def higher(self, bars: int) -> Higher:
        """The bars of a higher timeframe, ``bars`` of these each, on the clock."""
        return self.once(_higher, bars=bars)

    def once[T](self, function: Callable[..., T], **parameters: int) -> T:
        """``function(self, **parameters)``, computed once however many features ask for it.

        An array, or a tuple of arrays, is one value per bar that does not hang on where in the frame the bar stands: of
        a longer frame, the newest of them serve this one. They cannot be written to, as others read them too.
        """
        key = (function, *parameters.items())
        known = self._kept.get(key)
        if known is None:
            known = self._newest_of(self._longest.get(key))
            if known is None:
                known = self._longest[key] = _readonly(function(self, **parameters))
            self._kept[key] = known
        return cast("T", known)

    def _newest_of(self, found: object) -> object:
        """The part of these bars in a series that may be longer; None where there is no such series."""
        if isinstance(found, _SLICED):
            others = len(found) - len(self.ts)
            return found[others:] if others >= 0 else None
        if isinstance(found, tuple):
            parts = tuple(map(self._newest_of, found))
            return None if any(part is None for part in parts) else parts
        return None


def _readonly(made: object) -> object:
    if isinstance(made, np.ndarray):
        made.setflags(write=False)
    elif isinstance(made, tuple):
        for one in made:
            _readonly(one)
    return made


_SLICED: Final = (np.ndarray, Higher)
"""What has one value per bar."""


def _higher(frame: Bars, bars: int) -> Higher:
    return Higher(frame, bars)


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


def _close_variance(frame: Bars, bars: int) -> Array:
    return rolling_var(frame.close, bars)


def _realised_variance(frame: Bars, bars: int) -> Array:
    return rolling_sum(frame.squared_return, bars)


def ema_memory(bars: int) -> int:
    """The look-back of :meth:`Bars.ema`: until weights are below 1e-15, for averages over 100 bars below 2e-9."""
    return ewma_memory(2 / (bars + 1), NEGLIGIBLE if bars <= 100 else 2e-9)
