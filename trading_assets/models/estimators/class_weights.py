"""What rows count where one outcome is rarer than the other."""

from __future__ import annotations

import numpy as np

from trading_assets.models.estimators.contract import Array
from trading_assets.settings.sections.estimators import ClassWeighted


def class_weighted(target: Array, weights: Array | None, parameters: ClassWeighted) -> Array | None:
    """The rows' weights, by which both outcomes count the same where the parameters say ``balanced``.

    Parameters
    ----------
    target
        1 or 0 for each row; both occur.
    weights
        What each row counts otherwise, with a mean of 1; None where all count the same.
    parameters
        Say whether to balance.

    Returns
    -------
    numpy.ndarray or None
        With a mean of 1; ``weights`` themselves where nothing is balanced.
    """
    if parameters.class_weight == "none":
        return weights
    counts = np.ones(len(target)) if weights is None else weights
    hits = float(counts[target == 1].sum() / counts.sum())
    balanced: Array = counts * np.where(target == 1, 0.5 / hits, 0.5 / (1 - hits))
    return balanced / balanced.mean()
