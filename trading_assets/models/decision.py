"""One decision: what the node does when a bar closes, and what the parity certificate repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from trading_assets import features
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels import (
    decides,
    lookback_bars,
    newest_units,
    newest_widths,
    scale_lookback,
    unit_lookback,
    widths,
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
    features
        The bar's feature row.
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

    features: pl.DataFrame
    probabilities: Mapping[Side, float]
    take_profit: float | None
    stop_loss: float | None
    sets: Mapping[Side, int] = field(default_factory=dict)
    unit: float | None = None


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
    compute = compute or partial(
        features_of, timeframe=bundle.labels.timeframe, names=bundle.features, plugins=bundle.plugins
    )
    rows = compute(held, companions or {}).tail(bundle.lookback_rows)
    row = rows.tail(1)
    target, stop = widths(held.tail(scale_lookback(bundle.labels)), bundle.labels).row(-1)
    answers = {side: bundle.said(row, side, history=rows) for side in sides_decided(bundle, held)}
    said = {side: probability for side, ((probability,), _) in answers.items()}
    known = {side: sets[0] for side, (_, sets) in answers.items() if sets is not None}
    return Decision(row, said, target, stop, known, plan_units(bundle, [held])[0])


@dataclass(frozen=True, slots=True)
class Question:
    """What a decision is made from: a model, the bars held of one market, and what else features read.

    Attributes
    ----------
    row
        The newest bar's features, where they were computed already; of the model's and maybe further ones. Questions
        on the same bars that are asked together have the same columns.
    """

    bundle: Bundle
    held: pl.DataFrame
    companions: Companions
    row: pl.DataFrame | None = None


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
    held, companions = [one.held for one in questions], [one.companions for one in questions]
    known = [one.row for one in questions if one.row is not None]
    if len(known) == len(questions):
        rows = known[0] if len(known) == 1 else pl.concat(known)
    else:
        rows = features.compute_newest(
            held, companions, timeframe=timeframe, features=names, plugins=questions[0].bundle.plugins
        )
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
            mine = (
                rows if len(decided) == rows.height else rows[decided]
            )  # the rows of a few are another thread's query
            answers, held_by = bundle.said(mine, side, history=before)
            for place, number in enumerate(decided):
                said[number][side] = answers[place]
                if held_by is not None:
                    sets[number][side] = held_by[place]
        labels = bundle.labels
        of = newest_widths([held[number].tail(scale_lookback(labels)) for number in numbers], labels)
        barriers |= zip(numbers, of, strict=True)
        units |= zip(numbers, plan_units(bundle, [held[number] for number in numbers]), strict=True)
    return [
        Decision(rows[number : number + 1], said[number], *barriers[number], sets[number], units[number])
        for number in range(len(questions))
    ]


def _history(lookback_rows: int, questions: Sequence[Question]) -> pl.DataFrame | None:
    """The newest feature rows of each market; None where a model reads a row alone."""
    if lookback_rows == 1 or not questions:
        return None
    return pl.concat(
        features_of(
            one.held,
            one.companions,
            timeframe=one.bundle.labels.timeframe,
            names=one.bundle.features,
            plugins=one.bundle.plugins,
        ).tail(lookback_rows)
        for one in questions
    )
