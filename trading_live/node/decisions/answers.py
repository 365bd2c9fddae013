"""A decision of a model in use as the signal that is traded, or would be."""

from __future__ import annotations

from trading_assets.journal import Answer
from trading_assets.models.decision import Decision
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import ClosedBar, Signal, answer_on
from trading_live.node.decisions.admission import ModelInUse


def signal_on(bar: ClosedBar, model: ModelInUse, decision: Decision, *, cost_bps: float) -> Signal | None:
    """The signal of a decision; None where the market stood still: barriers would be nowhere.

    Parameters
    ----------
    bar
        That was decided on.
    model, decision
        Who decided, and what.
    cost_bps
        Of a round trip at the venue.
    """
    if decision.take_profit is None or decision.stop_loss is None:
        return None
    bundle, deployed = model.bundle, model.deployed
    return answer_on(
        bar,
        decision.probabilities,
        sets=decision.sets,
        rule=EntryRule.of(bundle.spec, cost_bps=cost_bps),
        take_profit_pct=decision.take_profit * 100,
        stop_loss_pct=decision.stop_loss * 100,
        horizon_bars=bundle.labels.horizon_bars,
        model=deployed.model,
        model_version=deployed.version,
        bundle_hash=deployed.bundle_hash,
    )


def answer_of(signal: Signal) -> Answer:
    """A signal as it is journalled of a challenger, and of the model that trades beside it."""
    return Answer(
        model=signal.model,
        model_version=signal.model_version,
        bundle_hash=signal.bundle_hash,
        side=signal.side.value,
        probability=signal.probability,
        threshold=signal.threshold,
        take_profit_pct=signal.take_profit_pct,
        stop_loss_pct=signal.stop_loss_pct,
        action="enter" if signal.enters else "hold",
    )
