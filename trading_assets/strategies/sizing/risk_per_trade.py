"""A sizing: every trade loses the same share of equity where its stop is reached."""

from __future__ import annotations

from trading_assets.settings import RiskPerTradeSettings
from trading_assets.strategies.signals import Signal
from trading_assets.strategies.sizing.base import Sizing, Stake, bounded
from trading_assets.strategies.sizing.registry import register


@register
class RiskPerTrade(Sizing[RiskPerTradeSettings]):
    """The set share of equity over what a unit of notional loses at the stop, costs of both orders included."""

    section = RiskPerTradeSettings
    source = "percent risk: Tharp (1998)"

    def stake(self, signal: Signal, *, volatility: float | None = None) -> Stake:
        """Large where the stop is near."""
        risk, loss = self.settings.risk, loss_at_stop(signal)
        why = f"risk {risk:.2%} of equity, {loss:.3%} lost at the stop with costs"
        return bounded(risk / loss, self.settings.max_position_share, f"{why}: {risk / loss:.4g} of equity")


def loss_at_stop(signal: Signal) -> float:
    """What a trade loses of its notional at the entry where its stop is reached: the distance, and both orders' costs.

    The exit's costs are charged on its own price: a little less for a long trade, a little more for a short one.
    """
    stop, cost = signal.plan.stop, signal.rule.cost_bps / 2e4
    return stop + cost * (2 - signal.side * stop)
