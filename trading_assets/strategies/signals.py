"""What a strategy is told on a closed bar, and by whom: stored predictions, or the model in the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.settings import LabelSettings
from trading_assets.strategies.entry_rule import EntryRule


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

    The rule of entry, barriers and horizon travel with the signal, so that swapping the model swaps them together.

    Attributes
    ----------
    ts, known_at
        The feature row's bar open, and when it was first known.
    probability
        That a trade of this side reaches its take-profit before its stop-loss.
    rule
        Says whether this is worth a trade.
    take_profit_pct, stop_loss_pct
        Distances from the entry price in percent.
    horizon_bars
        Decision bars after which the trade is closed.
    model_version
        0 for an out-of-sample prediction, which comes from many fold models.
    side
        What an entry on it buys or sells.
    veto
        Why it is not entered on although the rule would; empty where nothing speaks against it.
    prediction_set
        The outcomes that the model cannot rule out (:mod:`trading_assets.validation.coverage`); None where it does not
        say.
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

    @property
    def enters(self) -> bool:
        """Whether the model wants this trade."""
        return not self.veto and bool(
            self.rule.enters(self.probability, self.take_profit_pct, self.stop_loss_pct, self.prediction_set)
        )

    @property
    def edge_bps(self) -> float:
        """The trade's expected net return, in basis points of the notional."""
        return self.rule.edge_bps(self.probability, self.take_profit_pct, self.stop_loss_pct)

    @property
    def kelly_share(self) -> float:
        """The notional, as a share of equity, with which equity grows fastest if the probability is right."""
        return self.rule.kelly_share(self.probability, self.take_profit_pct, self.stop_loss_pct)

    @property
    def threshold(self) -> float:
        """The probability that this trade needs: for the wanted return, or the set one where that is higher."""
        return max(self.rule.required(self.take_profit_pct, self.stop_loss_pct), self.rule.threshold or 0.0)

    @property
    def reason(self) -> str:
        """Why the model wants this trade, or not."""
        said = self.rule.reason(self.probability, self.take_profit_pct, self.stop_loss_pct, self.prediction_set)
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
) -> Signal | None:
    """What is said on a bar, of the better one of the sides that have a probability; None where there is none.

    ``sets`` are the prediction sets of sides that have one. The rest is as in :class:`Signal`.
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
        )
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


class StoredSignals:
    """Stored out-of-sample predictions as a signal source.

    Parameters
    ----------
    predictions
        Columns ``market``, ``ts``, ``known_at``, ``probability`` and ``side`` (without it, long); one row per market,
        bar and side. One without a probability says nothing: a rule that wants no such trade there. Where barriers are
        not fixed, also ``take_profit`` and ``stop_loss``: each label's own distances. ``prediction_set`` where the rule
        of entry asks for it.
    rule, labels
        The model's rule of entry and the barriers that its labels were made with.
    model, model_version, bundle_hash
        What the signals are attributed to.
    """

    def __init__(
        self,
        predictions: pl.DataFrame,
        *,
        rule: EntryRule,
        labels: LabelSettings,
        model: str = "walk_forward",
        model_version: int = 0,
        bundle_hash: str = "",
    ) -> None:
        widths = barrier_percent(labels)
        known = pl.col("prediction_set") if rule.only_certain else pl.lit(None, pl.Int8).alias("prediction_set")
        rows: Sequence[tuple[str, datetime, int, float, float, float, int | None]] = (
            with_side(predictions)
            .filter(pl.col("probability").is_not_null())
            .select("market", "ts", "side", "probability", *widths, known)
            .rows()
        )
        self._said: dict[tuple[str, datetime], list[tuple[int, float, float, float, int | None]]] = {}
        for market, ts, *said in rows:
            self._said.setdefault((market, ts), []).append(said)  # type: ignore[arg-type]
        self._make: Callable[[ClosedBar, int, float, float, float, int | None], Signal] = (
            lambda bar, side, probability, target, stop, prediction_set: Signal(
                market=bar.market,
                ts=bar.ts,
                known_at=bar.known_at,
                probability=probability,
                rule=rule,
                take_profit_pct=target,
                stop_loss_pct=stop,
                horizon_bars=labels.horizon_bars,
                model=model,
                model_version=model_version,
                bundle_hash=bundle_hash,
                side=Side(side),
                prediction_set=prediction_set,
            )
        )

    def on_bars(self, bars: Sequence[ClosedBar]) -> list[Signal | None]:
        """The stored prediction of each bar, of the better side where there are two."""
        return [self.on_bar(bar) for bar in bars]

    def on_bar(self, bar: ClosedBar) -> Signal | None:
        """The stored prediction of this bar."""
        said = self._said.get((bar.market, bar.ts))
        if said is None:
            return None
        made = [self._make(bar, *one) for one in said]
        return made[0] if len(made) == 1 else better_side(made)


def with_side(predictions: pl.DataFrame) -> pl.DataFrame:
    """Predictions with the ``side`` that they are of; those made before there were two are long."""
    if "side" in predictions.columns:
        return predictions
    return predictions.with_columns(side=pl.lit(Side.LONG.value, pl.Int8))


def barrier_percent(labels: LabelSettings) -> tuple[pl.Expr, pl.Expr]:
    """Take-profit and stop-loss of each prediction in percent: the settings' where they are fixed, else its own."""
    if labels.barriers == "fixed":
        return pl.lit(labels.take_profit_pct).alias("take_profit"), pl.lit(labels.stop_loss_pct).alias("stop_loss")
    return pl.col("take_profit") * 100, pl.col("stop_loss") * 100
