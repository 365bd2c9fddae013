"""A rule: buy the fall that ends within a rising trend, sell the rise that ends within a falling one."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.features.framework.bars import ema_memory
from trading_assets.features.framework.windows import rolling_max, rolling_min, shift
from trading_assets.features.indicators.trend import convergence
from trading_assets.settings import MacdBollingerSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.mean_reversion import mean, score
from trading_assets.strategies.rules.registry import register
from trading_assets.strategies.rules.shown import shown, wanted

_ROUNDING = 1e-9  # a step of the histogram, or a distance of means, below this share of the price is none


@register
class MacdBollinger(Rule[MacdBollingerSettings]):
    """Long where a fall within a rising trend left the lower band and turns; short the other way round.

    The band says that the price went far, the MACD's histogram that it turns, the long mean which way the market goes.
    """

    section = MacdBollingerSettings
    inputs = ("close",)
    source = "Bollinger (2001); Appel (2005); the trend's filter: Connors and Alvarez (2009)"

    @property
    def lookback_bars(self) -> int:
        """The longest of trend, bands and MACD; the latter's histogram two bars ago counts too."""
        chosen = self.settings
        histogram = ema_memory(chosen.slow) + ema_memory(chosen.signal) - 1
        return max(chosen.trend, chosen.bars + chosen.within - 1, histogram + 2)

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 where a fall turns, -1 where a rise does, else 0."""
        chosen, frame = self.settings, shown(bars)
        histogram = convergence(frame, chosen.fast, chosen.slow, chosen.signal)[2] * frame.close
        step, least = histogram - shift(histogram, 1), _ROUNDING * frame.close
        rises, falls = step > least, step < -least
        ahead = frame.once(mean, bars=chosen.bars) - frame.once(mean, bars=chosen.trend)
        away = frame.once(score, bars=chosen.bars)
        low = rolling_min(away, chosen.within) <= -chosen.deviations
        high = rolling_max(away, chosen.within) >= chosen.deviations
        long = low & rises & ~np.roll(rises, 1) & (ahead > least)
        short = high & falls & ~np.roll(falls, 1) & (ahead < -least)
        return wanted(long, short, lookback_bars=self.lookback_bars)
