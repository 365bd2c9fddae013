"""The parts of a candlestick that pattern definitions speak of: bodies, shadows, gaps, and what counts as long.

The measures and thresholds are TA-Lib's: a body is long or short against the mean body of the ten bars before it, a
doji, a very short shadow, "near", "far" and "equal" against the mean range of the ten or five bars before. Means are
sums over their window alone, so patterns have the finite memory that all features have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce, wraps
from operator import and_
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.windows import Array, rolling_mean, shift

type Flags = npt.NDArray[np.bool_]
type Signs = Flags | tuple[Flags, Flags] | Array

OLDEST: Final = 6
"""The oldest candle that a pattern looks at: so many bars ago."""


class Candles:
    """The candles of a frame, one value per wanted bar: ``close[1]`` of the bar before, ``all(0, "long")`` of the bar.

    Of one bar the values are NumPy's scalars: they know the operators of its arrays, and cost a tenth of them.

    Attributes
    ----------
    first
        The row of the first value: the oldest bar that is wanted and has ``OLDEST`` before it.
    unknown
        NaN, as many as the frame has bars.
    """

    def __init__(self, frame: Bars) -> None:
        self._open, self._high, self._low, self._close = frame.open, frame.high, frame.low, frame.close
        self._known: dict[tuple[int | tuple[int, ...], tuple[str, ...]], Flags] = {}
        self._kept: dict[object, object] = {}
        end = len(frame)
        self.first = max(end - frame.wanted, OLDEST)
        self.unknown = np.full(end, np.nan)
        one = end - self.first == 1
        self._rows = [self.first - ago if one else slice(self.first - ago, end - ago) for ago in range(OLDEST + 1)]

    def _of_each[S: np.generic](self, values: npt.NDArray[S]) -> tuple[npt.NDArray[S], ...]:
        """The values of the candles 0, 1, ... bars ago."""
        return tuple([values[rows] for rows in self._rows])

    @cached_property
    def _tops(self) -> Array:
        return np.maximum(self._open, self._close)

    @cached_property
    def _bottoms(self) -> Array:
        return np.minimum(self._open, self._close)

    @cached_property
    def _bodies(self) -> Array:
        return np.abs(self._close - self._open)

    @cached_property
    def _ranges(self) -> Array:
        return self._high - self._low

    @cached_property
    def _uppers(self) -> Array:
        return self._high - self._tops

    @cached_property
    def _lowers(self) -> Array:
        return self._bottoms - self._low

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
        open_, high, low, close = (shift(prices, 1) for prices in (self._open, self._high, self._low, self._close))
        return {
            "white": self._close >= self._open,
            "black": self._close < self._open,
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
            "window_up": self._low > high,
            "window_down": self._high < low,
            "closes_higher": self._close > close,
            "closes_lower": self._close < close,
            "higher": (self._high > high) & (self._low > low),
            "lower": (self._high < high) & (self._low < low),
            "inside": (self._high < high) & (self._low > low),
            "opens_within": (self._open > open_) & (self._open <= close + shift(self._nears, 1)),
        }

    def all(self, ago: int, *flags: str) -> Flags:
        """Whether the candle has every one of the named properties; shared, so not to be changed."""
        known = self._known.get((ago, flags))
        if known is None:
            rows = self._rows[ago]
            known = self._known[ago, flags] = reduce(and_, [self._flags[flag][rows] for flag in flags])
        return known

    def each(self, bars: tuple[int, ...], *flags: str) -> Flags:
        """Whether all of several candles have every one of the named properties; shared like :meth:`all`."""
        known = self._known.get((bars, flags))
        if known is None:
            known = self._known[bars, flags] = reduce(and_, [self.all(ago, *flags) for ago in bars])
        return known

    def once[T](self, function: Callable[[Candles], T]) -> T:
        """``function(self)``, computed once however many patterns ask for it."""
        if function not in self._kept:
            self._kept[function] = function(self)
        return cast("T", self._kept[function])

    @cached_property
    def open(self) -> tuple[Array, ...]:
        """The open."""
        return self._of_each(self._open)

    @cached_property
    def high(self) -> tuple[Array, ...]:
        """The high."""
        return self._of_each(self._high)

    @cached_property
    def low(self) -> tuple[Array, ...]:
        """The low."""
        return self._of_each(self._low)

    @cached_property
    def close(self) -> tuple[Array, ...]:
        """The close."""
        return self._of_each(self._close)

    @cached_property
    def top(self) -> tuple[Array, ...]:
        """The higher of open and close."""
        return self._of_each(self._tops)

    @cached_property
    def bottom(self) -> tuple[Array, ...]:
        """The lower of open and close."""
        return self._of_each(self._bottoms)

    @cached_property
    def body(self) -> tuple[Array, ...]:
        """The distance of open and close."""
        return self._of_each(self._bodies)

    @cached_property
    def near(self) -> tuple[Array, ...]:
        """A fifth of the usual range."""
        return self._of_each(self._nears)

    @cached_property
    def far(self) -> tuple[Array, ...]:
        """Three fifths of the usual range."""
        return self._of_each(self._fars)

    @cached_property
    def equal(self) -> tuple[Array, ...]:
        """A twentieth of the usual range."""
        return self._of_each(self._equals)

    @cached_property
    def doji_limit(self) -> tuple[Array, ...]:
        """A tenth of the usual range."""
        return self._of_each(self._doji_limit)


def within(value: Array, centre: Array, margin: Array) -> Flags:
    """Whether a value is at most a margin away."""
    close: Flags = (value <= centre + margin) & (value >= centre - margin)
    return close


def pattern(talib: str, lookback: int, *, low: float = 0, high: float = 0) -> Callable[..., Callable[[Bars], Array]]:
    """Register a function of :class:`Candles` as the feature ``pattern_<its name>``.

    The function returns where the pattern is seen (a bullish one, or a bearish one where only ``low`` is given), a pair
    (bullish, bearish), or the values themselves.
    """

    def register(function: Callable[[Candles], Signs]) -> Callable[[Bars], Array]:
        @wraps(function)
        def compute(frame: Bars) -> Array:
            candles = frame.once(Candles)
            first, values = candles.first, candles.unknown.copy()
            if len(frame) > first:
                seen = function(candles)
                if isinstance(seen, tuple):
                    values[first:] = 1.0 * seen[0] - seen[1]
                else:
                    values[first:] = -1.0 * seen if high == 0 and seen.dtype == np.bool_ else seen
            if lookback > first:
                values[: lookback - 1] = np.nan
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
