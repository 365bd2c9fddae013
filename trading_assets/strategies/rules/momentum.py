"""A rule: what has risen goes on rising, what has fallen falling."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.features.framework.windows import ratio, shift
from trading_assets.settings import MomentumSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.registry import register
from trading_assets.strategies.rules.shown import shown, wanted


@register
class Momentum(Rule[MomentumSettings]):
    """Long where the price has risen by more than its volatility explains; short where it has fallen so.

    The paper holds a position always, the smaller the more volatile the market is. A rule says when: it waits for a
    return that is large for the volatility. With a threshold of 0 it wants a trade on every bar, and picks nothing.
    """

    section = MomentumSettings
    inputs = ("close",)
    source = "time-series momentum: Moskowitz, Ooi and Pedersen (2012)"

    @property
    def lookback_bars(self) -> int:
        """The longer one of return and volatility, and the close before."""
        return max(self.settings.bars, self.settings.volatility) + 1

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 after a large rise, -1 after a large fall, else 0."""
        chosen, frame = self.settings, shown(bars)
        gone = frame.log_close - shift(frame.log_close, chosen.bars)
        usual = np.sqrt(frame.realised_variance(chosen.volatility) * (chosen.bars / chosen.volatility))
        strength = ratio(gone, usual, 0.0)
        return wanted(strength > chosen.threshold, strength < -chosen.threshold, lookback_bars=self.lookback_bars)
