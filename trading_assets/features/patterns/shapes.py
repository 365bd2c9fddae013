"""The parts of a candlestick that pattern definitions speak of: bodies, shadows, gaps, and what counts as long.

The measures and thresholds are TA-Lib's: a body is long or short against the mean body of the ten bars before it, a
doji, a very short shadow, "near", "far" and "equal" against the mean range of the ten or five bars before. Means are
sums over their window alone, so patterns have the finite memory that all features have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.features.bars import Bars
from trading_assets.features.registry import feature
from trading_assets.features.windows import Array, rolling_mean, shift

type Flags = npt.NDArray[np.bool_]
type Signs = Flags | tuple[Flags, Flags] | Array

OLDEST: Final = 6
"""The oldest candle that a pattern looks at: so many bars ago."""


class Candles:
    """The candles of a frame; every method takes how many bars ago and returns one value per bar from ``OLDEST`` on."""

    def __init__(self, frame: Bars) -> None:
        self._frame = frame
        self._known: dict[tuple[object, ...], Flags] = {}

    def _ago[S: np.generic](self, values: npt.NDArray[S], ago: int) -> npt.NDArray[S]:
        return values[OLDEST - ago : max(len(values) - ago, OLDEST - ago)]

    @cached_property
    def _tops(self) -> Array:
        return np.maximum(self._frame.open, self._frame.close)

    @cached_property
    def _bottoms(self) -> Array:
        return np.minimum(self._frame.open, self._frame.close)

    @cached_property
    def _bodies(self) -> Array:
        return np.abs(self._frame.close - self._frame.open)

    @cached_property
    def _ranges(self) -> Array:
        return self._frame.high - self._frame.low

    @cached_property
    def _uppers(self) -> Array:
        return self._frame.high - self._tops

    @cached_property
    def _lowers(self) -> Array:
        return self._bottoms - self._frame.low

    @cached_property
    def _usual_body(self) -> Array:
        return shift(rolling_mean(self._bodies, 10), 1)

    @cached_property
    def _usual_range_10(self) -> Array:
        return shift(rolling_mean(self._ranges, 10), 1)

    @cached_property
    def _usual_range_5(self) -> Array:
        return shift(rolling_mean(self._ranges, 5), 1)

    @cached_property
    def _usual_shadow(self) -> Array:
        return shift(rolling_mean(self._uppers + self._lowers, 10), 1) / 2

    @cached_property
    def _doji_limit(self) -> Array:
        return 0.1 * self._usual_range_10

    @cached_property
    def _nears(self) -> Array:
        return 0.2 * self._usual_range_5

    @cached_property
    def _fars(self) -> Array:
        return 0.6 * self._usual_range_5

    @cached_property
    def _equals(self) -> Array:
        return 0.05 * self._usual_range_5

    @cached_property
    def _flags(self) -> dict[str, Flags]:
        body, upper, lower = self._bodies, self._uppers, self._lowers
        return {
            "white": self._frame.close >= self._frame.open,
            "black": self._frame.close < self._frame.open,
            "long": body > self._usual_body,
            "short": body < self._usual_body,
            "short_or_usual": body <= self._usual_body,
            "doji": body <= self._doji_limit,
            "no_upper": upper < self._doji_limit,
            "no_lower": lower < self._doji_limit,
            "some_upper": upper > self._doji_limit,
            "some_lower": lower > self._doji_limit,
            "short_upper": upper < self._usual_shadow,
            "short_lower": lower < self._usual_shadow,
            "usual_upper": upper > self._usual_shadow,
            "long_upper": upper > body,
            "long_lower": lower > body,
            "very_long_upper": upper > 2 * body,
            "very_long_lower": lower > 2 * body,
            "gap_up": self._bottoms > shift(self._tops, 1),
            "gap_down": self._tops < shift(self._bottoms, 1),
            "window_up": self._frame.low > shift(self._frame.high, 1),
            "window_down": self._frame.high < shift(self._frame.low, 1),
        }

    def all(self, ago: int, *flags: str) -> Flags:
        """Whether the candle has every one of the named properties; shared, so not to be changed."""
        key = (ago, *flags)
        if key not in self._known:
            first, *others = (self._ago(self._flags[flag], ago) for flag in flags)
            for other in others:
                first = first & other
            self._known[key] = first
        return self._known[key]

    def each(self, bars: Sequence[int], *flags: str) -> Flags:
        """Whether all of several candles have every one of the named properties."""
        result: Flags = np.logical_and.reduce([self.all(ago, *flags) for ago in bars])
        return result

    def open(self, ago: int = 0) -> Array:
        """The open."""
        return self._ago(self._frame.open, ago)

    def high(self, ago: int = 0) -> Array:
        """The high."""
        return self._ago(self._frame.high, ago)

    def low(self, ago: int = 0) -> Array:
        """The low."""
        return self._ago(self._frame.low, ago)

    def close(self, ago: int = 0) -> Array:
        """The close."""
        return self._ago(self._frame.close, ago)

    def top(self, ago: int = 0) -> Array:
        """The higher of open and close."""
        return self._ago(self._tops, ago)

    def bottom(self, ago: int = 0) -> Array:
        """The lower of open and close."""
        return self._ago(self._bottoms, ago)

    def body(self, ago: int = 0) -> Array:
        """The distance of open and close."""
        return self._ago(self._bodies, ago)

    def near(self, ago: int) -> Array:
        """A fifth of the usual range."""
        return self._ago(self._nears, ago)

    def far(self, ago: int) -> Array:
        """Three fifths of the usual range."""
        return self._ago(self._fars, ago)

    def equal(self, ago: int) -> Array:
        """A twentieth of the usual range."""
        return self._ago(self._equals, ago)

    def doji_limit(self, ago: int) -> Array:
        """A tenth of the usual range."""
        return self._ago(self._doji_limit, ago)


def within(value: Array, centre: Array, margin: Array) -> Flags:
    """Whether a value is at most a margin away."""
    return np.asarray((value <= centre + margin) & (value >= centre - margin))


def pattern(talib: str, lookback: int, *, low: float = 0, high: float = 0) -> Callable[..., Callable[[Bars], Array]]:
    """Register a function of :class:`Candles` as the feature ``pattern_<its name>``.

    The function returns where the pattern is seen (a bullish one, or a bearish one where only ``low`` is given), a pair
    (bullish, bearish), or the values themselves.
    """
    first = max(lookback - 1, OLDEST)

    def register(function: Callable[[Candles], Signs]) -> Callable[[Bars], Array]:
        @wraps(function)
        def compute(frame: Bars) -> Array:
            values = np.empty(len(frame))
            values[:first] = np.nan
            if len(frame) > first:
                seen = function(frame.once(Candles))
                if isinstance(seen, tuple):
                    np.subtract(
                        seen[0][first - OLDEST :], seen[1][first - OLDEST :], out=values[first:], dtype=np.float64
                    )
                elif high == 0 and seen.dtype == np.bool_:
                    np.negative(seen[first - OLDEST :], out=values[first:], dtype=np.float64)
                else:
                    values[first:] = seen[first - OLDEST :]
            return values

        feature(
            f"pattern_{function.__name__}",
            inputs=["open", "high", "low", "close"],
            lookback=max(lookback, OLDEST + 1),
            unit="1 bullish, -1 bearish, 0 none" if low and high else "1 seen" if high else "-1 seen",
            low=low,
            high=high,
            source=f"TA-Lib {talib} / 100",
        )(compute)
        return compute

    return register
