"""A rule: follow a trend that has just begun and is not exhausted."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.features.framework.bars import ema_memory
from trading_assets.features.framework.windows import ewma_memory
from trading_assets.features.indicators.momentum import relative_strength
from trading_assets.settings import EmaCrossRsiSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.registry import register
from trading_assets.strategies.rules.shown import shown, wanted

_ROUNDING = 1e-9  # means closer together than this share of their size are equal


@register
class EmaCrossRsi(Rule[EmaCrossRsiSettings]):
    """Long where the fast mean crosses above the slow one and is not overbought; short the other way round."""

    section = EmaCrossRsiSettings
    inputs = ("close",)
    source = "Brock, Lakonishok and LeBaron (1992); Wilder (1978)"

    @property
    def lookback_bars(self) -> int:
        """The longer memory of mean and index, and the bar before."""
        return max(ema_memory(self.settings.slow), ewma_memory(1 / self.settings.rsi) + 1) + 1

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 where the trend turns up, -1 where it turns down, else 0."""
        chosen, frame = self.settings, shown(bars)
        fast, slow = frame.ema(chosen.fast), frame.ema(chosen.slow)
        above, below = fast > slow * (1 + _ROUNDING), fast < slow * (1 - _ROUNDING)
        index = frame.once(relative_strength, bars=chosen.rsi)
        long = above & ~np.roll(above, 1) & (index < chosen.overbought)
        short = below & ~np.roll(below, 1) & (index > chosen.oversold)
        return wanted(long, short, lookback_bars=self.lookback_bars)
