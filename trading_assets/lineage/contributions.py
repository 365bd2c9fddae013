"""What each feature added to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trading_assets import features
from trading_assets.core.sides import Side
from trading_assets.lineage.rebuilding import Rebuilt
from trading_assets.models.estimators.odds import log_odds
from trading_assets.models.record import Record

type How = Literal["shap", "without", "none"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature adds to the log-odds of a decision.

    Attributes
    ----------
    feature, description, unit
        As the registry says.
    value
        On the bar that was decided on; None where it was missing.
    log_odds
        What it adds.
    """

    feature: str
    value: float | None
    log_odds: float
    description: str
    unit: str


def contributions(rebuilt: Rebuilt, side: Side) -> tuple[How, list[Contribution]]:
    """What each feature adds, the largest first, and how that is known.

    Returns
    -------
    tuple
        ``shap``: SHAP values, which with a constant add up to the log-odds. ``without``: of an estimator that cannot
        say these, how far the log-odds fall where the feature is missing from all rows; they add up to nothing.
        ``none``: of a rule, which has no features.
    """
    classifier = rebuilt.bundle.classifiers[side]
    if isinstance(classifier, Record):
        return "none", []
    inputs = classifier.inputs(rebuilt.rows.tail(1), rebuilt.rows)
    shap = classifier.contributions(inputs)
    how: How = "shap"
    if shap is None:
        how = "without"
        asked = np.repeat(inputs, len(classifier.features) + 1, axis=0)
        for column in range(len(classifier.features)):
            asked[column, ..., column] = np.nan
        odds = log_odds(classifier.probabilities(asked))
        shap = (odds[-1] - odds[:-1])[np.newaxis]
    newest = inputs[0] if inputs.ndim == 2 else inputs[0, -1]
    known = features.registry(rebuilt.bundle.labels.timeframe, rebuilt.bundle.plugins)
    found = [
        Contribution(
            feature=name,
            value=None if np.isnan(value) else float(value),
            log_odds=float(added),
            description=known[name].description if name in known else "",
            unit=known[name].unit if name in known else "",
        )
        for name, value, added in zip(classifier.features, newest, shap[0], strict=True)
    ]
    return how, sorted(found, key=lambda one: abs(one.log_odds), reverse=True)
