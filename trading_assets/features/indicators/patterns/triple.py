"""Patterns of three candles: stars, gaps and reversals."""

from __future__ import annotations

from trading_assets.features.indicators.patterns.shapes import Candles, Flags, pattern, within

_PENETRATION = 0.3


@pattern("CDL2CROWS", 13, low=-1)
def two_crows(c: Candles) -> Flags:
    """Above a long white body, a black one with a gap, and one that closes within the white one."""
    opens = (c.open[0] < c.open[1]) & (c.open[0] > c.close[1])
    closes = (c.close[0] > c.open[2]) & (c.close[0] < c.close[2])
    return c.all(2, "white", "long") & c.all(1, "black", "gap_up") & c.all(0, "black") & opens & closes


@pattern("CDL3INSIDE", 13, low=-1, high=1)
def three_inside(c: Candles) -> tuple[Flags, Flags]:
    """A harami confirmed by the third candle."""
    inside = c.all(2, "long") & c.all(1, "short_or_usual") & (c.top[1] < c.top[2]) & (c.bottom[1] > c.bottom[2])
    up = inside & c.all(2, "black") & c.all(0, "white") & (c.close[0] > c.open[2])
    return up, inside & c.all(2, "white") & c.all(0, "black") & (c.close[0] < c.open[2])


@pattern("CDL3OUTSIDE", 4, low=-1, high=1)
def three_outside(c: Candles) -> tuple[Flags, Flags]:
    """An engulfing confirmed by the third candle."""
    up = c.all(1, "white") & c.all(2, "black") & (c.close[1] > c.open[2]) & (c.open[1] < c.close[2])
    down = c.all(1, "black") & c.all(2, "white") & (c.open[1] > c.close[2]) & (c.close[1] < c.open[2])
    return up & c.all(0, "closes_higher"), down & c.all(0, "closes_lower")


@pattern("CDLABANDONEDBABY", 13, low=-1, high=1)
def abandoned_baby(c: Candles) -> tuple[Flags, Flags]:
    """A doji between two bodies of opposite colour, beyond both of them by whole ranges."""
    shape = c.all(2, "long") & c.all(1, "doji") & c.all(0, "long")
    reach = _PENETRATION * c.body[2]
    up = shape & c.all(2, "black") & c.all(1, "window_down") & c.all(0, "white", "window_up")
    down = shape & c.all(2, "white") & c.all(1, "window_up") & c.all(0, "black", "window_down")
    return up & (c.close[0] > c.close[2] + reach), down & (c.close[0] < c.close[2] - reach)


def _evening(c: Candles, star: str) -> Flags:
    shape = c.all(2, "white", "long") & c.all(1, star, "gap_up") & c.all(0, "black", "long")
    return shape & (c.close[0] < c.close[2] - _PENETRATION * c.body[2])


def _morning(c: Candles, star: str) -> Flags:
    shape = c.all(2, "black", "long") & c.all(1, star, "gap_down") & c.all(0, "white", "long")
    return shape & (c.close[0] > c.close[2] + _PENETRATION * c.body[2])


@pattern("CDLEVENINGDOJISTAR", 13, low=-1)
def evening_doji_star(c: Candles) -> Flags:
    """An evening star of which the middle candle is a doji."""
    return _evening(c, "doji")


@pattern("CDLEVENINGSTAR", 13, low=-1)
def evening_star(c: Candles) -> Flags:
    """A long white body, a short one above a gap, and a black one that closes well within the first."""
    return _evening(c, "short_or_usual")


@pattern("CDLMORNINGDOJISTAR", 13, high=1)
def morning_doji_star(c: Candles) -> Flags:
    """A morning star of which the middle candle is a doji."""
    return _morning(c, "doji")


@pattern("CDLMORNINGSTAR", 13, high=1)
def morning_star(c: Candles) -> Flags:
    """A long black body, a short one below a gap, and a white one that closes well within the first."""
    return _morning(c, "short_or_usual")


@pattern("CDLGAPSIDESIDEWHITE", 8, low=-1, high=1)
def gap_side_by_side_white(c: Candles) -> tuple[Flags, Flags]:
    """Beyond a gap, two white candles of equal open and size side by side."""
    alike = c.each((0, 1), "white") & within(c.body[0], c.body[1], c.near[1]) & within(c.open[0], c.open[1], c.equal[1])
    up = alike & c.all(1, "gap_up") & (c.bottom[0] > c.top[2])
    return up, alike & c.all(1, "gap_down") & (c.top[0] < c.bottom[2])


@pattern("CDLSTICKSANDWICH", 8, high=1)
def stick_sandwich(c: Candles) -> Flags:
    """A white candle above the close of two black ones that are equal."""
    shape = c.all(2, "black") & c.all(1, "white") & c.all(0, "black")
    return shape & (c.low[1] > c.close[2]) & within(c.close[0], c.close[2], c.equal[2])


@pattern("CDLTASUKIGAP", 8, low=-1, high=1)
def tasuki_gap(c: Candles) -> tuple[Flags, Flags]:
    """After a gap, a candle of the other colour and of like size that does not close it."""
    alike = abs(c.body[1] - c.body[0]) < c.near[1]
    up = alike & c.all(1, "gap_up", "white") & c.all(0, "black") & (c.open[0] < c.close[1]) & (c.open[0] > c.open[1])
    down = (
        alike & c.all(1, "gap_down", "black") & c.all(0, "white") & (c.open[0] < c.open[1]) & (c.open[0] > c.close[1])
    )
    return (
        up & (c.close[0] < c.open[1]) & (c.close[0] > c.top[2]),
        down & (c.close[0] > c.open[1]) & (c.close[0] < c.bottom[2]),
    )


@pattern("CDLTRISTAR", 13, low=-1, high=1)
def tristar(c: Candles) -> tuple[Flags, Flags]:
    """Three doji, the middle one beyond a gap."""
    limit = c.doji_limit[2]
    three = (c.body[2] <= limit) & (c.body[1] <= limit) & (c.body[0] <= limit)
    up = three & c.all(1, "gap_down") & (c.bottom[0] > c.bottom[1])
    return up, three & c.all(1, "gap_up") & (c.top[0] < c.top[1])


@pattern("CDLUNIQUE3RIVER", 13, high=1)
def unique_three_river(c: Candles) -> Flags:
    """A long black body, a black one within it that makes a new low, and a short white one above that low."""
    second = (c.close[1] > c.close[2]) & (c.open[1] <= c.open[2]) & (c.low[1] < c.low[2])
    return c.all(2, "black", "long") & c.all(1, "black") & second & c.all(0, "short", "white") & (c.open[0] > c.low[1])


@pattern("CDLUPSIDEGAP2CROWS", 13, low=-1)
def upside_gap_two_crows(c: Candles) -> Flags:
    """Two black candles above the gap over a long white one, the second around the first."""
    around = (c.open[0] > c.open[1]) & (c.close[0] < c.close[1]) & (c.close[0] > c.close[2])
    return c.all(2, "white", "long") & c.all(1, "black", "short_or_usual", "gap_up") & c.all(0, "black") & around


@pattern("CDLXSIDEGAP3METHODS", 4, low=-1, high=1)
def gap_three_methods(c: Candles) -> tuple[Flags, Flags]:
    """Two candles of one colour with a gap between, and one of the other colour that closes the gap."""
    fills = (c.open[0] < c.top[1]) & (c.open[0] > c.bottom[1]) & (c.close[0] < c.top[2]) & (c.close[0] > c.bottom[2])
    up = fills & c.all(2, "white") & c.all(1, "white", "gap_up") & c.all(0, "black")
    return up, fills & c.all(2, "black") & c.all(1, "black", "gap_down") & c.all(0, "white")
