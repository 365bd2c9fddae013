"""A sizing: every position moves equity as much as every other."""

from __future__ import annotations

from datetime import timedelta

from trading_assets.settings import VolatilityTargetSettings
from trading_assets.strategies.signals import Signal
from trading_assets.strategies.sizing.base import Sizing, Stake, bounded
from trading_assets.strategies.sizing.registry import register


@register
class VolatilityTarget(Sizing[VolatilityTargetSettings]):
    """The wanted volatility over the market's own; nothing while the market's is not known.

    References
    ----------
    T. J. Moskowitz, Y. H. Ooi, L. H. Pedersen, "Time series momentum", *Journal of Financial Economics* 104, 2012,
    equation 5: each position is 40 % over the volatility known before. Here that is the realised one of a window.
    """

    section = VolatilityTargetSettings
    source = "volatility scaling: Moskowitz, Ooi and Pedersen (2012)"

    @property
    def look_back(self) -> timedelta:
        """The window of the market's volatility."""
        return self.settings.window

    def stake(self, signal: Signal, *, volatility: float | None = None) -> Stake:
        """Large where the market is calm."""
        wanted, days = self.settings.annual_volatility, self.settings.window_days
        if not volatility:
            known = "is not known yet" if volatility is None else "is 0"
            return Stake(0.0, f"the market's volatility of {days:g} days {known}: no size for a target of {wanted:.2%}")
        share = wanted / volatility
        why = f"volatility {volatility:.2%} a year, target {wanted:.2%}: {share:.4g} of equity"
        return bounded(share, self.settings.max_position_share, why)
