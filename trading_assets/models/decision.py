"""One decision: what the node does when a bar closes, and what the parity certificate repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl

from trading_assets import features
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import FeatureRow
from trading_assets.labels import (
    decides,
    lookback_bars,
    newest_units,
    newest_widths,
    scale_lookback,
    unit_lookback,
)
from trading_assets.models.bundle import Bundle

type Companions = Mapping[str, pl.DataFrame]
type Compute = Callable[[pl.DataFrame, Companions], pl.DataFrame]
"""(bars of one market, companions) -> features of each bar: :func:`trading_assets.features.compute`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A model's answer on the newest bar.

    Attributes
    ----------
    row
        The bar's features.
    probabilities
        Of each side that the model trades and its label set decides on at this bar: of its take-profit first.
    take_profit, stop_loss
        The barriers' distances as fractions of the entry price; None where the market stood still.
    sets
        The prediction set of each side, where the model makes them; see :mod:`trading_assets.validation.coverage`.
    unit
        What a distance of the model's exit plan is worth, as a fraction of the price; None where the market stood
        still, and where the model names no plan.
    """

    row: FeatureRow
    probabilities: Mapping[Side, float]
    take_profit: float | None
    stop_loss: float | None
    sets: Mapping[Side, int] = field(default_factory=dict)
    unit: float | None = None

    @property
    def features(self) -> pl.DataFrame:
        """The bar's feature row as a frame."""
        return self.row.frame


def features_of(
    held: pl.DataFrame,
    companions: Companions,
    *,
    timeframe: Timeframe,
    names: Sequence[str] | None = None,
    plugins: Owners | None = None,
) -> pl.DataFrame:
    """The features of the bars of a timeframe that a model decides on; all, or those of some names."""
    return features.compute(held, companions, timeframe=timeframe, features=names, plugins=plugins)


def bars_needed(bundle: Bundle) -> int:
    """How many bars a decision is made from: what the features of each row read look back on, and the label set."""
    read = features.lookback_bars(bundle.labels.timeframe, bundle.features, bundle.plugins) + bundle.lookback_rows - 1
    return max(read, lookback_bars(bundle.labels), unit_lookback(bundle.spec.exit_plan))


def plan_units(bundle: Bundle, held: Sequence[pl.DataFrame]) -> Sequence[float | None]:
    """The unit of the model's exit plan at the last bar held of each market; None where it names no plan."""
    plan = bundle.spec.exit_plan
    return [None] * len(held) if plan is None else newest_units(held, plan)


def sides_decided(bundle: Bundle, held: pl.DataFrame) -> tuple[Side, ...]:
    """The model's sides that its label set decides on at the last bar held, as it did in training."""
    said = decides(held.tail(lookback_bars(bundle.labels)), bundle.labels)
    return bundle.sides if said is None else tuple(side for side in bundle.sides if said[side.word][-1])


def decide(
    bundle: Bundle, held: pl.DataFrame, companions: Companions | None = None, *, compute: Compute | None = None
) -> Decision:
    """Answer on the last of the bars that a node holds.

    Parameters
    ----------
    bundle
        The model.
    held
        The newest bars of one market, ascending; at least :func:`bars_needed`.
    companions
        What else features read, up to the last bar's ``known_at``.
    compute
        What computes the features.
    """
    others, back = companions or {}, bundle.lookback_rows
    if compute is None and back == 1:
        return decide_together([Question(bundle, held, others)])[0]
    rows = (compute or partial(_computed, bundle))(held, others).tail(back)
    return decide_together([Question(bundle, held, others, FeatureRow.of_frame(rows.tail(1)), rows)])[0]


@dataclass(frozen=True, slots=True)
class Question:
    """What a decision is made from: a model, the bars held of one market, and what else features read.

    Attributes
    ----------
    row
        The newest bar's features, where they were computed already; of the model's and maybe further ones.
    rows
        Feature rows up to the newest bar, as many as the model reads, where they were computed already.
    """

    bundle: Bundle
    held: pl.DataFrame
    companions: Companions
    row: FeatureRow | None = None
    rows: pl.DataFrame | None = None


def decide_together(questions: Sequence[Question]) -> list[Decision]:
    """Answer on bars of many markets that close together; to the bit what :func:`decide` says of each alone.

    Models that read the same features of one timeframe have them computed in one call, and each predicts once for each
    of its sides.
    """
    together: dict[tuple[Timeframe, tuple[str, ...], Owners | None], list[int]] = {}
    for number, one in enumerate(questions):
        key = (one.bundle.labels.timeframe, one.bundle.features, one.bundle.plugins)
        together.setdefault(key, []).append(number)
    decisions: dict[int, Decision] = {}
    for (timeframe, names, _), numbers in together.items():
        decisions |= zip(numbers, _decide_on(timeframe, names, [questions[n] for n in numbers]), strict=True)
    return [decisions[number] for number in range(len(questions))]


def _decide_on(timeframe: Timeframe, names: Sequence[str], questions: Sequence[Question]) -> list[Decision]:
    """Answer on bars of one timeframe, by models of the same features."""
    held = [one.held for one in questions]
    rows = _rows_of(timeframe, names, questions)
    asked: dict[str, list[int]] = {}
    for number, one in enumerate(questions):
        asked.setdefault(one.bundle.bundle_hash, []).append(number)
    said: list[dict[Side, float]] = [{} for _ in questions]
    sets: list[dict[Side, int]] = [{} for _ in questions]
    barriers: dict[int, tuple[float | None, float | None]] = {}
    units: dict[int, float | None] = {}
    for numbers in asked.values():
        bundle = questions[numbers[0]].bundle
        wanted = {number: sides_decided(bundle, held[number]) for number in numbers}
        before = _history(bundle.lookback_rows, [questions[number] for number in numbers if wanted[number]])
        for side in bundle.sides:
            if not (decided := [number for number in numbers if side in wanted[number]]):
                continue
            answers, held_by = _said(bundle, side, [rows[number] for number in decided], before)
            for place, number in enumerate(decided):
                said[number][side] = answers[place]
                if held_by is not None:
                    sets[number][side] = held_by[place]
        labels = bundle.labels
        of = newest_widths([held[number].tail(scale_lookback(labels)) for number in numbers], labels)
        barriers |= zip(numbers, of, strict=True)
        units |= zip(numbers, plan_units(bundle, [held[number] for number in numbers]), strict=True)
    return [
        Decision(row, said[number], *barriers[number], sets[number], units[number]) for number, row in enumerate(rows)
    ]


def _rows_of(timeframe: Timeframe, names: Sequence[str], questions: Sequence[Question]) -> list[FeatureRow]:
    known = [one.row for one in questions if one.row is not None]
    if len(known) == len(questions):
        return known
    return features.compute_newest(
        [one.held for one in questions],
        [one.companions for one in questions],
        timeframe=timeframe,
        features=names,
        plugins=questions[0].bundle.plugins,
    )


def _said(
    bundle: Bundle, side: Side, rows: Sequence[FeatureRow], history: pl.DataFrame | None
) -> tuple[list[float], list[int] | None]:
    """Probabilities of rows of many markets, and sets: of a model that reads a row alone, without a frame."""
    if history is not None:
        return bundle.said(pl.concat(row.frame for row in rows), side, history=history)
    return bundle.said_of(np.array([row.of(bundle.features) for row in rows]), side)


def _history(lookback_rows: int, questions: Sequence[Question]) -> pl.DataFrame | None:
    """The newest feature rows of each market; None where a model reads a row alone."""
    if lookback_rows == 1 or not questions:
        return None
    return pl.concat(
        _computed(one.bundle, one.held, one.companions).tail(lookback_rows) if one.rows is None else one.rows
        for one in questions
    )


def _computed(bundle: Bundle, held: pl.DataFrame, companions: Companions) -> pl.DataFrame:
    return features_of(
        held, companions, timeframe=bundle.labels.timeframe, names=bundle.features, plugins=bundle.plugins
    )
