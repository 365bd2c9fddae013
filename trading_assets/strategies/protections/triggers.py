"""The limits of the settings, as the state machine asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from trading_assets.settings import ProtectionSettings
from trading_assets.strategies.protections.states import State

Reset = Literal["auto", "person"]

KNOWN_TO_A_BACKTEST: Final = frozenset(
    {
        "daily_loss_pct",
        "drawdown_pct",
        "model_losing_streak",
        "market_losing_streak",
        "orders_per_minute",
        "signals_per_minute",
        "funding_bps",
    }
)
"""What a backtest can measure; the rest is of venues, wires and clocks."""

_SPENT: Final = frozenset({"daily_loss_pct", "drawdown_pct", "model_losing_streak", "market_losing_streak"})


@dataclass(frozen=True, slots=True)
class Trigger:
    """What is done where one cause reaches its limit.

    Attributes
    ----------
    cause, limit
        The key of `trading.protections`, and its limit: reached at or above.
    state
        REDUCING or HALTED.
    cooldown
        How long at least, by the market's time.
    reset
        Whether it ends by itself or by a person alone.
    """

    cause: str
    limit: float
    state: State
    cooldown: timedelta
    reset: Reset

    @property
    def is_spent(self) -> bool:
        """Whether the cooldown ends it whatever is measured then: what was lost is lost, and counts no more."""
        return self.cause in _SPENT


def triggers_of(settings: ProtectionSettings, *, backtest: bool = False) -> Mapping[str, Trigger]:
    """Cause -> its trigger, of those that have a limit.

    Parameters
    ----------
    settings
        The section `trading.protections`.
    backtest
        Only those that a backtest can know.
    """
    return {
        cause: Trigger(cause, one.limit, State.parse(one.state), timedelta(seconds=one.cooldown_s), one.reset)
        for cause, one in settings.limits().items()
        if one.limit is not None and (not backtest or cause in KNOWN_TO_A_BACKTEST)
    }
