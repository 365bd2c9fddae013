"""Patterns of one candle."""

from __future__ import annotations

from trading_assets.features.indicators.patterns.shapes import Candles, Flags, pattern


def _coloured(c: Candles, flags: Flags) -> tuple[Flags, Flags]:
    return flags & c.all(0, "white"), flags & c.all(0, "black")


@pattern("CDLBELTHOLD", 11, low=-1, high=1)
def belt_hold(c: Candles) -> tuple[Flags, Flags]:
    """A long body that opens at the candle's extreme."""
    return c.all(0, "long", "white", "no_lower"), c.all(0, "long", "black", "no_upper")


@pattern("CDLCLOSINGMARUBOZU", 11, low=-1, high=1)
def closing_marubozu(c: Candles) -> tuple[Flags, Flags]:
    """A long body that closes at the candle's extreme."""
    return c.all(0, "long", "white", "no_upper"), c.all(0, "long", "black", "no_lower")


@pattern("CDLDOJI", 11, high=1)
def doji(c: Candles) -> Flags:
    """Open and close are nearly equal."""
    return c.all(0, "doji")


@pattern("CDLDRAGONFLYDOJI", 11, high=1)
def dragonfly_doji(c: Candles) -> Flags:
    """A doji at the top of its range."""
    return c.all(0, "doji", "no_upper", "some_lower")


@pattern("CDLGRAVESTONEDOJI", 11, high=1)
def gravestone_doji(c: Candles) -> Flags:
    """A doji at the bottom of its range."""
    return c.all(0, "doji", "no_lower", "some_upper")


@pattern("CDLHIGHWAVE", 11, low=-1, high=1)
def high_wave(c: Candles) -> tuple[Flags, Flags]:
    """A short body between two very long shadows; the sign is the body's colour."""
    return _coloured(c, c.all(0, "short", "very_long_upper", "very_long_lower"))


@pattern("CDLLONGLEGGEDDOJI", 11, high=1)
def long_legged_doji(c: Candles) -> Flags:
    """A doji with a long shadow."""
    return c.all(0, "doji") & (c.all(0, "long_lower") | c.all(0, "long_upper"))


@pattern("CDLLONGLINE", 11, low=-1, high=1)
def long_line(c: Candles) -> tuple[Flags, Flags]:
    """A long body with short shadows; the sign is its colour."""
    return _coloured(c, c.all(0, "long", "short_upper", "short_lower"))


@pattern("CDLMARUBOZU", 11, low=-1, high=1)
def marubozu(c: Candles) -> tuple[Flags, Flags]:
    """A long body without shadows; the sign is its colour."""
    return _coloured(c, c.all(0, "long", "no_upper", "no_lower"))


@pattern("CDLRICKSHAWMAN", 11, high=1)
def rickshaw_man(c: Candles) -> Flags:
    """A doji with two long shadows in the middle of its range."""
    middle = c.low[0] + (c.high[0] - c.low[0]) / 2
    centred = (c.bottom[0] <= middle + c.near[0]) & (c.top[0] >= middle - c.near[0])
    return c.all(0, "doji", "long_lower", "long_upper") & centred


@pattern("CDLSHORTLINE", 11, low=-1, high=1)
def short_line(c: Candles) -> tuple[Flags, Flags]:
    """A short body with short shadows; the sign is its colour."""
    return _coloured(c, c.all(0, "short", "short_upper", "short_lower"))


@pattern("CDLSPINNINGTOP", 11, low=-1, high=1)
def spinning_top(c: Candles) -> tuple[Flags, Flags]:
    """A short body between shadows that are longer than it; the sign is its colour."""
    return _coloured(c, c.all(0, "short", "long_upper", "long_lower"))


@pattern("CDLTAKURI", 11, high=1)
def takuri(c: Candles) -> Flags:
    """A doji at the top of a very long lower shadow."""
    return c.all(0, "doji", "no_upper", "very_long_lower")
