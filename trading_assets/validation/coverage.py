"""Whether prediction sets hold the outcome as often as was promised: over all rows, in parts of them, and live.

A promise of 90 % that is kept in 97 % of cases says too little, one that is kept in 80 % too much. Over all rows the
share may be right while calm markets make up for wild ones, hence the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from trading_assets.core.errors import InvalidFrame

TAKE_PROFIT: Final = 1
OTHER: Final = 2
"""The outcomes in a set, added up: 0 none, 1 take-profit alone, 2 not alone, 3 both."""

CERTAIN: Final = TAKE_PROFIT
"""The set that holds take-profit alone."""

NAMES: Final = ("empty", "take-profit alone", "not take-profit", "either")
"""Of the sets, for people."""

_KEYS: Final = ("market", "ts", "side")


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often sets held what happened.

    Attributes
    ----------
    rows
        With a set.
    share
        Of them, that held the outcome; None where there are no rows.
    certain_share
        Of them, that held one outcome alone: what the promise leaves to say.
    """

    rows: int
    share: float | None
    certain_share: float | None


def coverage(prediction_set: pl.Series, label: pl.Series) -> Coverage:
    """Measure sets against outcomes; rows without a set are left out.

    Parameters
    ----------
    prediction_set
        0 to 3, see above.
    label
        1 take-profit first, anything else not.
    """
    found = coverage_by(pl.DataFrame({"prediction_set": prediction_set, "label": label}), [])
    return Coverage(*found.row(0)) if found.height else Coverage(0, None, None)


def coverage_by(predictions: pl.DataFrame, parts: Sequence[str]) -> pl.DataFrame:
    """Coverage in parts of predictions.

    Parameters
    ----------
    predictions
        ``prediction_set``, ``label``, and what tells the parts apart.
    parts
        Columns; none for all rows together.

    Returns
    -------
    polars.DataFrame
        The parts, ``rows`` (UInt32), ``coverage`` and ``certain_share``; a row for each part that has sets, sorted.
    """
    known = predictions.filter(pl.col("prediction_set").is_not_null(), pl.col("label").is_not_null())
    outcome = pl.when(pl.col("label") == 1).then(TAKE_PROFIT).otherwise(OTHER)
    said = pl.col("prediction_set").cast(pl.Int64)
    measured = (
        pl.len().alias("rows"),
        ((said & outcome) != 0).mean().alias("coverage"),
        said.is_in([TAKE_PROFIT, OTHER]).mean().alias("certain_share"),
    )
    if not parts:
        return known.select(measured).filter(pl.col("rows") > 0)
    return known.group_by(*parts).agg(measured).sort(*parts)


def live_coverage(signals: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Coverage of what a node decided, by model, version and day of the decision.

    Parameters
    ----------
    signals
        Rows of the table ``signals``: ``model``, ``model_version``, ``market``, ``bar_ts``, ``side``,
        ``prediction_set``.
    outcomes
        Rows of the table ``labels`` of the models' label set: ``market``, ``ts``, ``side``, ``label``. Signals without
        an outcome, which is not known yet, are left out.

    Returns
    -------
    polars.DataFrame
        ``model``, ``model_version``, ``day``, ``rows``, ``coverage``, ``certain_share``.

    Raises
    ------
    InvalidFrame
        If a bar has several outcomes of one side: those of several label sets.
    """
    if outcomes.select(_KEYS).is_duplicated().any():
        raise InvalidFrame("a bar has several outcomes", where="live coverage", remedy="give those of one label set")
    known = signals.join(
        outcomes.select(*_KEYS, "label"), left_on=["market", "bar_ts", "side"], right_on=list(_KEYS), how="inner"
    ).with_columns(day=pl.col("bar_ts").dt.date())
    return coverage_by(known, ["model", "model_version", "day"])
