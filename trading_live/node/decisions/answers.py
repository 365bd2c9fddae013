"""A decision of a model in use as the signal that is traded, or would be."""

from __future__ import annotations

from trading_assets.costs.outlook import FundingOutlook
from trading_assets.exits.plan import ExitPlan
from trading_assets.journal import Answer
from trading_assets.models.decision import Decision
from trading_assets.strategies.entry_rule import EntryRule, Payoff
from trading_assets.strategies.signals import ClosedBar, Signal, answer_on
from trading_live.node.decisions.admission import ModelInUse


def signal_on(
    bar: ClosedBar,
    model: ModelInUse,
    decision: Decision,
    *,
    cost_bps: float,
    slippage_bps: float = 0.0,
    outlook: FundingOutlook | None = None,
) -> Signal | None:
    """The signal of a decision; None where the market stood still: barriers would be nowhere.

    Parameters
    ----------
    bar
        That was decided on.
    model, decision
        Who decided, and what.
    cost_bps
        Of a round trip at the venue.
    slippage_bps
        What of it is slippage.
    outlook
        Knows what funding to expect.
    """
    if decision.take_profit is None or decision.stop_loss is None:
        return None
    bundle, deployed = model.bundle, model.deployed
    named = bundle.spec.exit_plan
    if named is not None and decision.unit is None:
        return None
    return answer_on(
        bar,
        decision.probabilities,
        sets=decision.sets,
        rule=EntryRule.of(bundle.spec, cost_bps=cost_bps, slippage_bps=slippage_bps),
        take_profit_pct=decision.take_profit * 100,
        stop_loss_pct=decision.stop_loss * 100,
        horizon_bars=bundle.labels.horizon_bars,
        payoffs={
            side: Payoff(*(part * 100 for part in known.of_trade(decision.stop_loss)))
            for side, known in bundle.payoffs.items()
        },
        exit_plan=None if named is None or decision.unit is None else ExitPlan.of(named, decision.unit),
        model=deployed.model,
        model_version=deployed.version,
        bundle_hash=deployed.bundle_hash,
        outlook=outlook,
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
