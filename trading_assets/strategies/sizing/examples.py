"""What a sizing comes to for a model of the settings, before anything runs: an entry made up, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trading_assets.exits.plan import ExitPlan
from trading_assets.settings import LabelSettings, Settings, StrategySettings, VolatilityTargetSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.risk.exposure import Holding, room
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import Signal
from trading_assets.strategies.sizing.registry import sizing_of
from trading_assets.strategies.sizing.risk_per_trade import loss_at_stop
from trading_assets.validation.coverage import CERTAIN

_UNIT: Final = 0.01
"""Taken for the average true range or the scale of barriers, which the settings do not know; and what a percent is."""

_VOLATILITY: Final = 0.6
"""A year, taken for a market's."""

_ABOVE: Final = 0.05
"""Of a probability, above break-even."""


@dataclass(frozen=True, slots=True)
class SizeExample:
    """One entry of a model.

    Attributes
    ----------
    assumed
        What the entry is like, and what was taken for what only the market knows.
    notional
        After all limits; 0 where one refuses it.
    at_stop
        What is lost where the stop is reached, costs included, in quote currency.
    leverage
        Notional over equity.
    limited
        Which limits made it smaller or refused it.
    """

    assumed: str
    notional: float
    at_stop: float
    leverage: float
    limited: tuple[str, ...]


def size_example(settings: Settings, model: str, equity: float) -> SizeExample:
    """How large a model's first position would be.

    Parameters
    ----------
    settings
        Sizing, costs and limits.
    model
        Its name.
    equity
        Of the account, of which nothing is open.
    """
    sizing, risk = settings.trading.sizing, settings.trading.risk
    signal, assumed = _entry(settings.models[model], settings.labels_of(model), settings)
    volatility = _VOLATILITY if isinstance(sizing, VolatilityTargetSettings) else None
    if volatility is not None:
        assumed = f"{assumed}, vol. {volatility:.0%}"
    notional, too_large = RiskGate(risk).cut(sizing_of(sizing).stake(signal, volatility=volatility).share * equity)
    left = room(Holding(signal.market, signal.side, notional), (), equity, risk, None)
    too_small = RiskGate(risk).too_small(left.notional) if not left.refusal else None
    limited = tuple(filter(None, (too_large, *left.cuts, left.refusal, too_small)))
    admitted = 0.0 if too_small else left.notional
    return SizeExample(assumed, admitted, admitted * loss_at_stop(signal), admitted / equity, limited)


def _entry(model: StrategySettings, labels: LabelSettings, settings: Settings) -> tuple[Signal, str]:
    """A wanted entry, a little better than break-even, of which the model is certain."""
    fixed, named = labels.barriers == "fixed", model.exit_plan
    plan = None if named is None else ExitPlan.of(named, _UNIT)
    if plan is not None:
        stop, target = plan.stop * 100, (plan.targets[0].distance if plan.targets else 2 * plan.stop) * 100
    elif fixed:
        stop, target = labels.stop_loss_pct, labels.take_profit_pct
    else:
        stop, target = labels.stop_loss_multiple, labels.take_profit_multiple
    rule = EntryRule.of(model, cost_bps=settings.trading.costs.of_markets(model.markets).round_trip_bps)
    probability = min(rule.break_even(target, stop) + _ABOVE, 0.99)
    now = datetime(2025, 1, 1, tzinfo=UTC)
    signal = Signal(
        market=model.markets[0],
        ts=now - labels.timeframe.length,
        known_at=now,
        probability=probability,
        rule=rule,
        take_profit_pct=target,
        stop_loss_pct=stop,
        horizon_bars=labels.horizon_bars,
        model="example",
        side=model.sides[0],
        prediction_set=CERTAIN,
        exit_plan=plan,
    )
    scaled = not fixed if named is None else named.unit == "atr"
    said = f"stop {signal.plan.stop:.2%}" + (f" (scale {_UNIT:.0%})" if scaled else "")
    return signal, f"{said}, p {probability:.2f}"
