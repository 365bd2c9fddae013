"""Patterns of three candles in a row and of four or five."""

from __future__ import annotations

import numpy as np

from trading_assets.features.framework.windows import Array
from trading_assets.features.indicators.patterns.shapes import Candles, Flags, pattern, within


@pattern("CDL3BLACKCROWS", 14, low=-1)
def three_black_crows(c: Candles) -> Flags:
    """Three black candles that close at their lows, each opening within the one before."""
    opens = (c.open[1] < c.open[2]) & (c.open[1] > c.close[2]) & (c.open[0] < c.open[1]) & (c.open[0] > c.close[1])
    falls = (c.high[3] > c.close[2]) & c.each((0, 1), "closes_lower")
    return c.all(3, "white") & c.each((0, 1, 2), "black", "no_lower") & opens & falls


@pattern("CDLIDENTICAL3CROWS", 13, low=-1)
def identical_three_crows(c: Candles) -> Flags:
    """Three black candles that close at their lows, each opening at the close before."""
    opens = within(c.open[1], c.close[2], c.equal[2]) & within(c.open[0], c.close[1], c.equal[1])
    return c.each((0, 1, 2), "black", "no_lower") & c.each((0, 1), "closes_lower") & opens


def _rising(c: Candles) -> Flags:
    return c.each((0, 1, 2), "white") & c.each((0, 1), "closes_higher")


@pattern("CDL3WHITESOLDIERS", 13, high=1)
def three_white_soldiers(c: Candles) -> Flags:
    """Three white candles of like size that close at their highs, each opening within the one before."""
    shape = _rising(c) & c.each((0, 1, 2), "no_upper") & c.all(0, "long")
    alike = (c.body[1] > c.body[2] - c.far[2]) & (c.body[0] > c.body[1] - c.far[1])
    return shape & c.each((0, 1), "opens_within") & alike


@pattern("CDLADVANCEBLOCK", 13, low=-1)
def advance_block(c: Candles) -> Flags:
    """Three rising white candles that lose strength."""
    shape = _rising(c) & c.each((0, 1), "opens_within") & c.all(2, "long", "short_upper")
    first, second, third = c.body[2], c.body[1], c.body[0]
    smaller = third < second
    weak = ((second < first - c.far[2]) & (third < second + c.near[1])) | (third < second - c.far[1])
    weak |= smaller & (second < first) & (c.all(0, "usual_upper") | c.all(1, "usual_upper"))
    weak |= smaller & c.all(0, "long_upper")
    return shape & weak


@pattern("CDLSTALLEDPATTERN", 13, low=-1)
def stalled(c: Candles) -> Flags:
    """Two long white candles and a short one that hardly goes on."""
    shape = _rising(c) & c.all(2, "long") & c.all(1, "long", "no_upper", "opens_within") & c.all(0, "short")
    return shape & (c.open[0] >= c.close[1] - c.body[0] - c.near[1])


@pattern("CDL3STARSINSOUTH", 13, high=1)
def three_stars_in_the_south(c: Candles) -> Flags:
    """Three black candles, each smaller than the one before and with a higher low."""
    second = (c.body[1] < c.body[2]) & (c.open[1] > c.close[2]) & (c.open[1] <= c.high[2])
    second &= (c.low[1] < c.close[2]) & (c.low[1] >= c.low[2])
    shape = c.all(2, "black", "long", "long_lower") & c.all(1, "black", "some_lower")
    return shape & c.all(0, "black", "short", "no_lower", "no_upper", "inside") & second


@pattern("CDL3LINESTRIKE", 9, low=-1, high=1)
def three_line_strike(c: Candles) -> tuple[Flags, Flags]:
    """Three candles of one colour and one of the other that takes them all back."""
    opens = (c.open[2] >= c.bottom[3] - c.near[3]) & (c.open[2] <= c.top[3] + c.near[3])
    opens &= (c.open[1] >= c.bottom[2] - c.near[2]) & (c.open[1] <= c.top[2] + c.near[2])
    rise = c.each((1, 2), "closes_higher") & (c.open[0] > c.close[1]) & (c.close[0] < c.open[3])
    fall = c.each((1, 2), "closes_lower") & (c.open[0] < c.close[1]) & (c.close[0] > c.open[3])
    up = opens & rise & c.each((1, 2, 3), "white") & c.all(0, "black")
    return up, opens & fall & c.each((1, 2, 3), "black") & c.all(0, "white")


@pattern("CDLCONCEALBABYSWALL", 14, high=1)
def concealing_baby_swallow(c: Candles) -> Flags:
    """Two black marubozu, a black candle below a gap that reaches back, and one that engulfs it."""
    shape = c.each((2, 3), "black", "no_lower", "no_upper") & c.all(1, "black", "gap_down", "some_upper")
    return shape & c.all(0, "black") & (c.high[1] > c.close[2]) & (c.high[0] > c.high[1]) & (c.low[0] < c.low[1])


@pattern("CDLLADDERBOTTOM", 15, high=1)
def ladder_bottom(c: Candles) -> Flags:
    """Three falling black candles, one with an upper shadow, and a white one above it."""
    falls = (c.open[4] > c.open[3]) & (c.open[3] > c.open[2]) & c.each((2, 3), "closes_lower")
    shape = c.each((2, 3, 4), "black") & c.all(1, "black", "some_upper") & c.all(0, "white")
    return shape & falls & (c.open[0] > c.open[1]) & (c.close[0] > c.high[1])


@pattern("CDLBREAKAWAY", 15, low=-1, high=1)
def breakaway(c: Candles) -> tuple[Flags, Flags]:
    """A long body, a gap and two more candles onwards, then one that closes within the gap."""
    up = c.all(4, "long", "black") & c.all(3, "black", "gap_down") & c.all(1, "black") & c.all(0, "white")
    down = c.all(4, "long", "white") & c.all(3, "white", "gap_up") & c.all(1, "white") & c.all(0, "black")
    return (
        up & c.each((1, 2), "lower") & (c.close[0] > c.open[3]) & (c.close[0] < c.close[4]),
        down & c.each((1, 2), "higher") & (c.close[0] < c.open[3]) & (c.close[0] > c.close[4]),
    )


@pattern("CDLMATHOLD", 15, high=1)
def mat_hold(c: Candles) -> Flags:
    """A long white body, three short ones above its middle, and a white one above all."""
    shape = c.all(4, "long", "white") & c.each((1, 2, 3), "short") & c.all(3, "black", "gap_up") & c.all(0, "white")
    floor = c.close[4] - 0.5 * c.body[4]
    holds = (c.bottom[2] < c.close[4]) & (c.bottom[1] < c.close[4]) & (c.bottom[2] > floor) & (c.bottom[1] > floor)
    falls = (c.top[2] < c.open[3]) & (c.top[1] < c.top[2])
    highest = np.maximum(np.maximum(c.high[3], c.high[2]), c.high[1])
    return shape & holds & falls & (c.open[0] > c.close[1]) & (c.close[0] > highest)


@pattern("CDLRISEFALL3METHODS", 15, low=-1, high=1)
def three_methods(c: Candles) -> tuple[Flags, Flags]:
    """A long body, three short ones against it within its range, and a long one that goes on."""
    shape = c.each((0, 4), "long") & c.each((1, 2, 3), "short")
    for ago in (1, 2, 3):
        shape = shape & (c.bottom[ago] < c.high[4]) & (c.top[ago] > c.low[4])
    up = c.each((1, 2), "closes_lower") & (c.open[0] > c.close[1]) & (c.close[0] > c.close[4])
    down = c.each((1, 2), "closes_higher") & (c.open[0] < c.close[1]) & (c.close[0] < c.close[4])
    return (
        shape & up & c.each((0, 4), "white") & c.each((1, 2, 3), "black"),
        shape & down & c.each((0, 4), "black") & c.each((1, 2, 3), "white"),
    )


def _trap(c: Candles, ago: int) -> tuple[Flags, Flags]:
    """A bar inside the one before, left downwards (a bull trap is seen) or upwards."""
    inside = c.all(ago + 1, "inside")
    return inside & c.all(ago, "lower"), inside & c.all(ago, "higher")


def _modified_trap(c: Candles, ago: int) -> tuple[Flags, Flags]:
    """Two bars inside one another, the middle one closing at its extreme, and the break out of them."""
    first = c.all(ago + 2, "inside")
    down, up = _trap(c, ago)
    close, near = c.close[ago + 2], c.near[ago + 2]
    return first & down & (close <= c.low[ago + 2] + near), first & up & (close >= c.high[ago + 2] - near)


def _first_breaks(c: Candles) -> list[tuple[Flags, Flags]]:
    """Where the bar is the first since 1, 2, 3 bars ago to close above, or below, the one before that."""
    breaks = []
    for ago in (1, 2, 3):
        up, down = c.close[0] > c.high[ago + 1], c.close[0] < c.low[ago + 1]
        for later in range(1, ago):
            up &= c.close[later] <= c.high[ago + 1]
            down &= c.close[later] >= c.low[ago + 1]
        breaks.append((up, down))
    return breaks


def _confirmed(c: Candles, traps: list[tuple[Flags, Flags]]) -> Array:
    """1 or -1 where the trap is seen, 2 or -2 where one of the last three bars is first confirmed."""
    (up, down), *older = traps
    newer = up | down
    rises = falls = newer & ~newer
    for trap, breaks in zip(older, c.once(_first_breaks), strict=True):
        fresh = ~newer
        rises, falls = rises | (trap[0] & fresh & breaks[0]), falls | (trap[1] & fresh & breaks[1])
        newer = newer | trap[0] | trap[1]
    return (1.0 * up + 2.0 * rises) - (1.0 * down + 2.0 * falls)


@pattern("CDLHIKKAKE", 6, low=-2, high=2)
def hikkake(c: Candles) -> Array:
    """A false break out of an inside bar (1, -1), and the close back beyond it within three bars (2, -2)."""
    return _confirmed(c, [_trap(c, ago) for ago in range(4)])


@pattern("CDLHIKKAKEMOD", 11, low=-2, high=2)
def modified_hikkake(c: Candles) -> Array:
    """Hikkake after two inside bars of which the first closes at its extreme."""
    return _confirmed(c, [_modified_trap(c, ago) for ago in range(4)])
