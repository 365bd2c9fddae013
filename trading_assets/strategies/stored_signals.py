"""Stored out-of-sample predictions as a signal source: what a backtest trades."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.costs.outlook import FundingOutlook
from trading_assets.exits.plan import ExitPlan
from trading_assets.labels import units
from trading_assets.settings import LabelSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.strategies.entry_rule import EntryRule, Payoff
from trading_assets.strategies.signals import ClosedBar, Signal, better_side


class _Said(NamedTuple):
    side: int
    probability: float
    take_profit_pct: float
    stop_loss_pct: float
    prediction_set: int | None
    gain_pct: float
    loss_pct: float
    unit: float | None


class StoredSignals:
    """Stored out-of-sample predictions as a signal source.

    Parameters
    ----------
    predictions
        Columns ``market``, ``ts``, ``known_at``, ``probability`` and ``side`` (without it, long); one row per market,
        bar and side. One without a probability says nothing: a rule that wants no such trade there. Where barriers are
        not fixed, also ``take_profit`` and ``stop_loss``: each label's own distances. ``prediction_set`` where the rule
        of entry or the sizing asks for it.
        Where the model names an exit plan, ``unit``, of :func:`with_units`. ``gain`` and ``loss`` where what a right
        call earns and a wrong one loses is known otherwise than by the distances, as fractions.
    rule, labels
        The model's rule of entry and the barriers that its labels were made with.
    exit_plan
        The plan that the model names.
    model, model_version, bundle_hash
        What the signals are attributed to.
    outlook
        Knows what funding to expect; None for none.
    """

    def __init__(
        self,
        predictions: pl.DataFrame,
        *,
        rule: EntryRule,
        labels: LabelSettings,
        exit_plan: ExitSettings | None = None,
        model: str = "walk_forward",
        model_version: int = 0,
        bundle_hash: str = "",
        outlook: FundingOutlook | None = None,
    ) -> None:
        told = rule.only_certain or "prediction_set" in predictions.columns
        known = pl.col("prediction_set") if told else pl.lit(None, pl.Int8)
        unit = pl.lit(None, pl.Float64) if exit_plan is None else pl.col("unit")
        of_row = (*barrier_percent(labels), known, *stakes_percent(predictions, labels), unit)
        says = pl.col("probability").is_not_null()
        rows = (
            with_side(predictions)
            .filter(says if exit_plan is None else says & pl.col("unit").is_not_null())
            .select(
                *("market", "ts", "side", "probability"),
                *(one.alias(name) for name, one in zip(_Said._fields[2:], of_row, strict=True)),
            )
            .rows()
        )
        self._said: dict[tuple[str, datetime], list[_Said]] = {}
        for market, ts, *said in rows:
            self._said.setdefault((market, ts), []).append(_Said(*said))

        def make(bar: ClosedBar, said: _Said) -> Signal:
            return Signal(
                market=bar.market,
                ts=bar.ts,
                known_at=bar.known_at,
                probability=said.probability,
                rule=rule,
                take_profit_pct=said.take_profit_pct,
                stop_loss_pct=said.stop_loss_pct,
                horizon_bars=labels.horizon_bars,
                model=model,
                model_version=model_version,
                bundle_hash=bundle_hash,
                side=Side(said.side),
                prediction_set=said.prediction_set,
                exit_plan=None if exit_plan is None or said.unit is None else ExitPlan.of(exit_plan, said.unit),
                payoff=Payoff(said.gain_pct, said.loss_pct),
            ).with_funding(outlook)

        self._make = make
        self._known: dict[tuple[str, datetime], Signal] = {}  # a backtest that is repeated asks again

    @property
    def told(self) -> Collection[tuple[str, datetime]]:
        """Market and ``ts`` of the bars on which something is said."""
        return self._said.keys()

    def on_bars(self, bars: Sequence[ClosedBar]) -> list[Signal | None]:
        """The stored prediction of each bar, of the better side where there are two."""
        return [self.on_bar(bar) for bar in bars]

    def on_bar(self, bar: ClosedBar) -> Signal | None:
        """The stored prediction of this bar."""
        key = (bar.market, bar.ts)
        said = self._said.get(key)
        if said is None:
            return None
        known = self._known.get(key)
        if known is None:
            made = [self._make(bar, one) for one in said]
            known = self._known[key] = made[0] if len(made) == 1 else better_side(made)
        return known


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


def stakes_percent(predictions: pl.DataFrame, labels: LabelSettings) -> tuple[pl.Expr, pl.Expr]:
    """What a right call earns and a wrong one loses, in percent: the distances where predictions know no better."""
    if "gain" not in predictions.columns:
        return barrier_percent(labels)
    target, stop = barrier_percent(labels)
    return (pl.col("gain") * 100).fill_null(target), (pl.col("loss") * 100).fill_null(stop)


def with_units(predictions: pl.DataFrame, bars: Mapping[str, pl.DataFrame], plan: ExitSettings) -> pl.DataFrame:
    """Predictions with the ``unit`` of the plan at their decision.

    Parameters
    ----------
    predictions
        ``market``, ``ts``.
    bars
        Market -> its decision bars, ascending, with those before the first prediction that a unit depends on; one
        whose unit is still warming up says nothing.
    """
    parts = [one.select(pl.lit(market).alias("market"), "ts", units(one, plan)) for market, one in bars.items()]
    return predictions.join(pl.concat(parts), on=["market", "ts"], how="left", maintain_order="left")
