"""Patterns of two candles."""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.windows import Array
from trading_assets.features.indicators.patterns.shapes import Candles, Flags, pattern, within


@pattern("CDLCOUNTERATTACK", 12, low=-1, high=1)
def counterattack(c: Candles) -> tuple[Flags, Flags]:
    """Two long bodies of opposite colour with equal closes."""
    same = c.each((0, 1), "long") & within(c.close[0], c.close[1], c.equal[1])
    return same & c.all(1, "black") & c.all(0, "white"), same & c.all(1, "white") & c.all(0, "black")


@pattern("CDLDARKCLOUDCOVER", 12, low=-1)
def dark_cloud_cover(c: Candles) -> Flags:
    """A black candle opens above a long white one's high and closes below its middle."""
    falls = (c.open[0] > c.high[1]) & (c.close[0] > c.open[1]) & (c.close[0] < c.close[1] - 0.5 * c.body[1])
    return c.all(1, "white", "long") & c.all(0, "black") & falls


@pattern("CDLDOJISTAR", 12, low=-1, high=1)
def doji_star(c: Candles) -> tuple[Flags, Flags]:
    """A doji beyond a long body, with a gap."""
    return c.all(1, "long", "black") & c.all(0, "doji", "gap_down"), c.all(1, "long", "white") & c.all(
        0, "doji", "gap_up"
    )


@pattern("CDLENGULFING", 3, low=-1, high=1)
def engulfing(c: Candles) -> Array:
    """A body that covers the one before, of the other colour; 0.8 where they share one end."""
    o, close, before, after = c.open[0], c.close[0], c.open[1], c.close[1]
    up = c.all(0, "white") & c.all(1, "black")
    up &= ((close >= before) & (o < after)) | ((close > before) & (o <= after))
    down = c.all(0, "black") & c.all(1, "white")
    down &= ((o >= after) & (close < before)) | ((o > after) & (close <= before))
    return (up.astype(np.float64) - down) * np.where((o != after) & (close != before), 1.0, 0.8)


@pattern("CDLHAMMER", 12, high=1)
def hammer(c: Candles) -> Flags:
    """A short body over a long lower shadow, near the low before."""
    return c.all(0, "short", "long_lower", "no_upper") & (c.bottom[0] <= c.low[1] + c.near[1])


@pattern("CDLHANGINGMAN", 12, low=-1)
def hanging_man(c: Candles) -> Flags:
    """A short body over a long lower shadow, near the high before."""
    return c.all(0, "short", "long_lower", "no_upper") & (c.bottom[0] >= c.high[1] - c.near[1])


def _inside(c: Candles, second: str) -> Array:
    strict = (c.top[0] < c.top[1]) & (c.bottom[0] > c.bottom[1])
    loose = (c.top[0] <= c.top[1]) & (c.bottom[0] >= c.bottom[1])
    size = np.where(strict, 1.0, np.where(loose, 0.8, 0.0)) * (c.all(1, "long") & c.all(0, second))
    return np.asarray(size * (2.0 * c.all(1, "black") - 1))


@pattern("CDLHARAMI", 12, low=-1, high=1)
def harami(c: Candles) -> Array:
    """A short body within the long one before; 0.8 where they share one end."""
    return _inside(c, "short_or_usual")


@pattern("CDLHARAMICROSS", 12, low=-1, high=1)
def harami_cross(c: Candles) -> Array:
    """A doji within the long body before; 0.8 where they share one end."""
    return _inside(c, "doji")


@pattern("CDLHOMINGPIGEON", 12, high=1)
def homing_pigeon(c: Candles) -> Flags:
    """A short black body within a long black one."""
    inside = (c.open[0] < c.open[1]) & (c.close[0] > c.close[1])
    return c.all(1, "black", "long") & c.all(0, "black", "short_or_usual") & inside


@pattern("CDLINNECK", 12, low=-1)
def in_neck(c: Candles) -> Flags:
    """After a long black body, a white one opens below its low and closes at its close."""
    closes = (c.close[0] <= c.close[1] + c.equal[1]) & (c.close[0] >= c.close[1])
    return c.all(1, "black", "long") & c.all(0, "white") & (c.open[0] < c.low[1]) & closes


@pattern("CDLINVERTEDHAMMER", 12, high=1)
def inverted_hammer(c: Candles) -> Flags:
    """A short body below a gap, with a long upper shadow."""
    return c.all(0, "short", "long_upper", "no_lower", "gap_down")


@pattern("CDLSHOOTINGSTAR", 12, low=-1)
def shooting_star(c: Candles) -> Flags:
    """A short body above a gap, with a long upper shadow."""
    return c.all(0, "short", "long_upper", "no_lower", "gap_up")


def _kick(c: Candles) -> tuple[Flags, Flags]:
    bare = c.each((0, 1), "long", "no_upper", "no_lower")
    up = bare & c.all(1, "black") & c.all(0, "white", "window_up")
    return up, bare & c.all(1, "white") & c.all(0, "black", "window_down")


@pattern("CDLKICKING", 12, low=-1, high=1)
def kicking(c: Candles) -> tuple[Flags, Flags]:
    """Two marubozu of opposite colour with a gap between them; the sign is the second one's colour."""
    return _kick(c)


@pattern("CDLKICKINGBYLENGTH", 12, low=-1, high=1)
def kicking_by_length(c: Candles) -> tuple[Flags, Flags]:
    """Kicking, the sign being the longer candle's colour."""
    up, down = _kick(c)
    second = c.body[0] > c.body[1]
    return (up & second) | (down & ~second), (down & second) | (up & ~second)


@pattern("CDLMATCHINGLOW", 7, high=1)
def matching_low(c: Candles) -> Flags:
    """Two black candles with equal closes."""
    return c.each((0, 1), "black") & within(c.close[0], c.close[1], c.equal[1])


@pattern("CDLONNECK", 12, low=-1)
def on_neck(c: Candles) -> Flags:
    """After a long black body, a white one opens below its low and closes at its low."""
    closes = within(c.close[0], c.low[1], c.equal[1])
    return c.all(1, "black", "long") & c.all(0, "white") & (c.open[0] < c.low[1]) & closes


@pattern("CDLPIERCING", 12, high=1)
def piercing(c: Candles) -> Flags:
    """A long white candle opens below a long black one's low and closes above its middle."""
    rises = (c.open[0] < c.low[1]) & (c.close[0] < c.open[1]) & (c.close[0] > c.close[1] + 0.5 * c.body[1])
    return c.all(1, "black", "long") & c.all(0, "white", "long") & rises


@pattern("CDLSEPARATINGLINES", 12, low=-1, high=1)
def separating_lines(c: Candles) -> tuple[Flags, Flags]:
    """A long body opens at its extreme, where the one before of the other colour had opened."""
    same = c.all(0, "long") & within(c.open[0], c.open[1], c.equal[1])
    up = same & c.all(1, "black") & c.all(0, "white", "no_lower")
    return up, same & c.all(1, "white") & c.all(0, "black", "no_upper")


@pattern("CDLTHRUSTING", 12, low=-1)
def thrusting(c: Candles) -> Flags:
    """After a long black body, a white one opens below its low and closes within it, below its middle."""
    closes = (c.close[0] > c.close[1] + c.equal[1]) & (c.close[0] <= c.close[1] + 0.5 * c.body[1])
    return c.all(1, "black", "long") & c.all(0, "white") & (c.open[0] < c.low[1]) & closes
