"""A rule: follow the price out of the channel that it has kept to."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.features.framework.windows import shift
from trading_assets.settings import DonchianSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.registry import register
from trading_assets.strategies.rules.shown import shown, wanted


@register
class Donchian(Rule[DonchianSettings]):
    """Long where a close breaks out above the highest high of some bars; short below the lowest low.

    A breakout is the first such close: on the bars after it the price is out already.
    """

    section = DonchianSettings
    inputs = ("high", "low", "close")
    source = "Donchian (1960); the turtles' entry, on closes: Faith (2007)"

    @property
    def lookback_bars(self) -> int:
        """The channel's bars, the present one, and the one before it."""
        return self.settings.bars + 2

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 on a breakout upwards, -1 on one downwards, else 0."""
        frame = shown(bars)
        above = frame.close > shift(frame.highest(self.settings.bars), 1)
        below = frame.close < shift(frame.lowest(self.settings.bars), 1)
        long, short = above & ~np.roll(above, 1), below & ~np.roll(below, 1)
        return wanted(long, short, lookback_bars=self.lookback_bars)
