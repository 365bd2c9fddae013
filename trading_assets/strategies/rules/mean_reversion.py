"""A rule: what went far from its mean comes back."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.windows import Array, ratio, rolling_mean
from trading_assets.settings import MeanReversionSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.registry import register
from trading_assets.strategies.rules.shown import shown, wanted


@register
class MeanReversion(Rule[MeanReversionSettings]):
    """Long where the close lies far below its mean; short where it lies far above."""

    section = MeanReversionSettings
    inputs = ("close",)
    source = "Poterba and Summers (1988); the score: Avellaneda and Lee (2010), of one price"

    @property
    def lookback_bars(self) -> int:
        """The bars of the mean."""
        return self.settings.bars

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 far below the mean, -1 far above, else 0."""
        away, entry = shown(bars).once(score, bars=self.settings.bars), self.settings.entry
        return wanted(away <= -entry, away >= entry, lookback_bars=self.lookback_bars)


def score(frame: Bars, bars: int) -> Array:
    """How many standard deviations the close is above the mean of the last ``bars`` closes; 0 at a constant price."""
    return ratio(frame.close - frame.once(mean, bars=bars), np.sqrt(frame.close_variance(bars)), 0.0)


def mean(frame: Bars, bars: int) -> Array:
    """The mean of the last ``bars`` closes."""
    return rolling_mean(frame.close, bars)
