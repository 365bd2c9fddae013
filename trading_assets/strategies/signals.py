"""What a strategy is told on a closed bar, and by whom: stored predictions, or the model in the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from trading_assets.core.sides import Side
from trading_assets.costs.outlook import FundingOutlook
from trading_assets.exits.plan import ExitPlan
from trading_assets.strategies.entry_rule import EntryRule, Payoff
from trading_assets.strategies.expected_net import ExpectedNet


class Stream(NamedTuple):
    """The bars of one timeframe of one market."""

    market: str
    timeframe: str


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """A closed bar of one market.

    Attributes
    ----------
    ts, known_at
        The bar's open and its end, UTC.
    volume
        In base units.
    """

    market: str
    timeframe: str
    ts: datetime
    known_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def stream(self) -> Stream:
        """Which bars it is one of."""
        return Stream(self.market, self.timeframe)


@dataclass(frozen=True, slots=True)
class Signal:
    """A model's answer on one closed bar, with everything that a trade on it needs.

    The rule of entry, barriers and exit plan travel with the signal, so that swapping the model swaps them together.

    Attributes
    ----------
    ts, known_at
        The feature row's bar open, and when it was first known.
    probability
        That a trade of this side reaches its take-profit before its stop-loss.
    rule
        Says whether this is worth a trade.
    take_profit_pct, stop_loss_pct
        What the probability is of: distances of the first target and the stop from the entry price in percent.
    horizon_bars
        Decision bars after which the trade is closed, where no plan is named.
    model_version
        0 for an out-of-sample prediction, which comes from many fold models.
    side
        What an entry on it buys or sells.
    veto
        Why it is not entered on although the rule would; empty where nothing speaks against it.
    prediction_set
        The outcomes that the model cannot rule out (:mod:`trading_assets.validation.coverage`); None where it does not
        say.
    exit_plan
        What becomes of the trade; None where the model names no plan: see :attr:`plan`.
    payoff
        What the rule of entry counts with; None for the distances.
    funding_pct
        What it is expected to pay in funding, in percent of the notional.
    """

    market: str
    ts: datetime
    known_at: datetime
    probability: float
    rule: EntryRule
    take_profit_pct: float
    stop_loss_pct: float
    horizon_bars: int
    model: str
    model_version: int = 0
    bundle_hash: str = ""
    side: Side = Side.LONG
    veto: str = ""
    prediction_set: int | None = None
    exit_plan: ExitPlan | None = None
    payoff: Payoff | None = None
    funding_pct: float = 0.0

    @property
    def plan(self) -> ExitPlan:
        """What becomes of the trade: the plan that the model names, or its label set's target, stop and horizon."""
        if self.exit_plan is not None:
            return self.exit_plan
        hold = self.horizon_bars * (self.known_at - self.ts)
        return ExitPlan.bracket(self.take_profit_pct / 100, self.stop_loss_pct / 100, hold)

    @property
    def stakes(self) -> Payoff:
        """What a right call earns and a wrong one loses, in percent of the entry price and before costs."""
        return self.payoff or Payoff(self.take_profit_pct, self.stop_loss_pct)

    @property
    def enters(self) -> bool:
        """Whether the model wants this trade."""
        if self.veto or not self.rule.enters(self.probability, *self.stakes, self.prediction_set):
            return False
        return self.nets_enough

    @property
    def nets_enough(self) -> bool:
        """Whether the expected net profit is what is wanted of it, funding taken off."""
        wanted = self.rule.min_net_pct
        return wanted is None or self.expected.net_pct >= wanted

    @property
    def expected(self) -> ExpectedNet:
        """The trade's expected net profit with its parts, in percent of the notional."""
        gain, loss = self.stakes
        return ExpectedNet(
            gross_pct=self.probability * gain - (1 - self.probability) * loss,
            fees_pct=(self.rule.cost_bps - self.rule.slippage_bps) / 100,
            slippage_pct=self.rule.slippage_bps / 100,
            funding_pct=self.funding_pct,
        )

    def with_funding(self, outlook: FundingOutlook | None) -> Signal:
        """The same with what its trade is expected to pay in funding."""
        if outlook is None:
            return self
        pays = outlook.expected_pct(self.market, self.side, self.known_at, self.plan.hold)
        return replace(self, funding_pct=pays) if pays else self

    @property
    def edge_bps(self) -> float:
        """The trade's expected net return, in basis points of the notional."""
        return self.rule.edge_bps(self.probability, *self.stakes)

    @property
    def kelly_share(self) -> float:
        """The notional, as a share of equity, with which equity grows fastest if the probability is right."""
        return self.rule.kelly_share(self.probability, *self.stakes)

    @property
    def threshold(self) -> float:
        """The probability that this trade needs: for the wanted return, or the set one where that is higher."""
        return max(self.rule.required(*self.stakes), self.rule.threshold or 0.0)

    @property
    def reason(self) -> str:
        """Why the model wants this trade, or not."""
        said = self.rule.reason(self.probability, *self.stakes, self.prediction_set)
        if self.rule.min_net_pct is not None:
            short = "" if self.nets_enough else f", at least {self.rule.min_net_pct:g} % are wanted"
            said = f"{said}; {self.expected}{short}"
        elif self.funding_pct:
            said = f"{said}; expected funding {self.funding_pct:.3f} %"
        return f"{self.veto}; {said}" if self.veto else said

    @property
    def signal_id(self) -> str:
        """Names the decision: model, version, market and bar."""
        at = self.ts
        bar = f"{at.year:04}{at.month:02}{at.day:02}T{at.hour:02}{at.minute:02}"  # three times as fast as strftime
        return f"{self.model}-v{self.model_version}-{self.market}-{bar}"


def answer_on(
    bar: ClosedBar,
    probabilities: Mapping[Side, float],
    *,
    sets: Mapping[Side, int] = MappingProxyType({}),
    rule: EntryRule,
    take_profit_pct: float,
    stop_loss_pct: float,
    horizon_bars: int,
    model: str,
    model_version: int = 0,
    bundle_hash: str = "",
    exit_plan: ExitPlan | None = None,
    payoffs: Mapping[Side, Payoff] = MappingProxyType({}),
    outlook: FundingOutlook | None = None,
) -> Signal | None:
    """What is said on a bar, of the better one of the sides that have a probability; None where there is none.

    ``sets`` are the prediction sets of sides that have one, ``payoffs`` likewise; ``outlook`` knows what funding to
    expect. The rest is as in :class:`Signal`.
    """
    signals = [
        Signal(
            market=bar.market,
            ts=bar.ts,
            known_at=bar.known_at,
            probability=probability,
            rule=rule,
            take_profit_pct=take_profit_pct,
            stop_loss_pct=stop_loss_pct,
            horizon_bars=horizon_bars,
            model=model,
            model_version=model_version,
            bundle_hash=bundle_hash,
            side=side,
            prediction_set=sets.get(side),
            exit_plan=exit_plan,
            payoff=payoffs.get(side),
        ).with_funding(outlook)
        for side, probability in probabilities.items()
    ]
    return better_side(signals) if signals else None


def better_side(signals: Sequence[Signal]) -> Signal:
    """Of a strategy's answers for both sides on one bar, the one to act on: never both, on one market.

    The one that is wanted, and of two that are, the one with the higher expected net return. Where both are wanted and
    promise the same, neither is entered on: nothing is known of the way that the price goes. Where none is wanted, the
    better one is what there is to say.

    Parameters
    ----------
    signals
        Of one market and bar, at least one.
    """
    ranked = sorted(signals, key=lambda one: (one.enters, one.edge_bps, one.side), reverse=True)
    best, *others = ranked
    if others and best.enters and others[0].enters and others[0].edge_bps == best.edge_bps:
        return replace(best, veto="long and short promise the same")
    return best


class SignalSource(Protocol):
    """Answers on closed decision bars."""

    def on_bars(self, bars: Sequence[ClosedBar]) -> Sequence[Signal | None]:
        """The signal of each bar, at most one of a market, leaders before those that read them.

        None where there is nothing to say (no model, warm-up, missing bars).
        """
        ...


class Journal(Protocol):
    """Takes what is decided and what happened.

    ``kind`` is ``signals``, ``orders``, ``fills``, ``positions`` (columns of the tables of that name except ``node``
    and ``seq``) or ``plans`` (``ts``, ``market``, ``signal_id``, ``plan``). ``event_id`` may name the event.
    """

    def record_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> object:
        """Write events as one; they are durable when this returns, else it raises and nothing must be done on them."""
        ...

    def keep_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> object:
        """Take what has been done or has happened: written as one, now or as soon as it can be."""
        ...


class MemoryJournal:
    """A journal in memory, for backtests and tests."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}

    def record(self, kind: str, event: dict[str, Any]) -> None:
        """Keep one event."""
        self.events.setdefault(kind, []).append(event)

    def record_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Keep several events."""
        for kind, event in events:
            self.record(kind, event)

    def keep_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Keep several events."""
        self.record_all(events)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind, in order."""
        return self.events.get(kind, [])
