"""A sizing: every position is the same share of equity."""

from __future__ import annotations

from trading_assets.settings import EquityShareSettings
from trading_assets.strategies.signals import Signal
from trading_assets.strategies.sizing.base import Sizing, Stake
from trading_assets.strategies.sizing.registry import register


@register
class EquityShare(Sizing[EquityShareSettings]):
    """The set share, or the set fraction of the signal's Kelly stake where that is less."""

    section = EquityShareSettings
    source = "fixed fractional: Vince (1990)"

    def stake(self, signal: Signal, *, volatility: float | None = None) -> Stake:
        """The same for all, unless a Kelly fraction is set."""
        chosen = self.settings
        if chosen.kelly_fraction is None:
            return Stake(chosen.position_share)
        return Stake(min(chosen.position_share, chosen.kelly_fraction * signal.kelly_share))
