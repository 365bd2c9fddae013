"""A rule: within a range that has held, buy at the levels below its middle and sell at those above."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.features.framework.windows import ratio, shift
from trading_assets.settings import GridSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.registry import register
from trading_assets.strategies.rules.shown import shown, wanted

_ROUNDING = 1e-9  # a close within this share of a step from a level is on it


@register
class Grid(Rule[GridSettings]):
    """Long where a close falls to the next level below the middle of a range; short where it rises to the next above.

    A grid at an exchange rests orders on all levels at once, adds to what goes against it, and lives on what it has not
    closed. Here a market has one trade at a time, with the stop of its exit plan: what is left of a grid is a sequence
    of bets that a range holds, each entered at a level that the price has just reached. Nothing is bought further down.

    The range is that of the bars before the present one, and it counts as one only while it drifts little: the way from
    its first close to its last is at most ``drift`` of its height. Outside of it nothing is wanted.
    """

    section = GridSettings
    inputs = ("high", "low", "close")
    source = "in our own words; that ranges hold and break: Lo, Mamaysky and Wang (2000), rectangles"

    @property
    def lookback_bars(self) -> int:
        """The range's bars, the present one, and the one before it, whose range it was."""
        return self.settings.bars + 1

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 at a level below the middle that the close falls to, -1 at one above that it rises to, else 0."""
        chosen, frame = self.settings, shown(bars)
        high, low = shift(frame.highest(chosen.bars), 1), shift(frame.lowest(chosen.bars), 1)
        height, before = high - low, shift(frame.close, 1)
        gone = np.abs(before - shift(frame.close, chosen.bars))
        step = height / 2 / chosen.levels
        now, then = (ratio(price - (high + low) / 2, step, 0.0) for price in (frame.close, before))
        inside = (gone <= (chosen.drift + _ROUNDING) * height) & (np.abs(now) <= chosen.levels + _ROUNDING)
        below, above = np.floor(_ROUNDING - now), np.floor(now + _ROUNDING)  # levels from the middle, 1 the nearest
        long = inside & (below >= 1) & (below > np.floor(_ROUNDING - then))
        short = inside & (above >= 1) & (above > np.floor(then + _ROUNDING))
        return wanted(long, short, lookback_bars=self.lookback_bars)
