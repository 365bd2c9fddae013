"""A rule: follow a trend that has just begun and is not exhausted."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.features.framework.bars import ema_memory
from trading_assets.features.framework.windows import ewma, ewma_memory, ratio, shift
from trading_assets.settings import EmaCrossRsiSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.registry import register

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
        close = bars["close"].to_numpy().astype(np.float64)
        lengths = (self.settings.fast, self.settings.slow)
        fast, slow = (ewma(close, 2 / (length + 1), ema_memory(length)) for length in lengths)
        above, below = fast > slow * (1 + _ROUNDING), fast < slow * (1 - _ROUNDING)
        change = close - shift(close, 1)
        gain, loss = (ewma(np.maximum(sign * change, 0), 1 / self.settings.rsi) for sign in (1, -1))
        index = 100 * ratio(gain, gain + loss, 0.5)
        long = above & ~np.roll(above, 1) & (index < self.settings.overbought)
        short = below & ~np.roll(below, 1) & (index > self.settings.oversold)
        sides = long.astype(np.int8) - short.astype(np.int8)
        sides[: self.lookback_bars - 1] = 0
        return pl.Series("side", sides, dtype=pl.Int8)
