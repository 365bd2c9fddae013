"""Platt scaling: a straight line through the log-odds of the score, which stretches or shrinks them and shifts them.

Two numbers, so that a few hundred rows tell them. On log-odds, not on scores, a model that is calibrated already needs
no change (slope 1, intercept 0). The slope never falls below 0: a model that ranks the wrong way round is not turned,
but told to say the base rate.

Sources: J. Platt, "Probabilistic Outputs for Support Vector Machines", *Advances in Large Margin Classifiers*, 1999,
with its smoothed targets; fitted by the Newton steps of H.-T. Lin, C.-J. Lin and R. C. Weng, "A Note on Platt's
Probabilistic Outputs for Support Vector Machines", *Machine Learning* 68, 2007. On log-odds: M. Kull, T. Silva Filho
and P. Flach, "Beta Calibration", AISTATS 2017.
"""

from __future__ import annotations

from typing import Final, Literal, Self

import numpy as np
from pydantic import Field

from trading_assets.models.confidence.curve import Array, Curve, register
from trading_assets.models.estimators.odds import chance_of, log_odds

_STEPS: Final = 100
_TINY: Final = 1e-5
"""Scores are taken to be this far from 0 and 1, where log-odds have no end and the smallest difference counts."""


@register
class Sigmoid(Curve):
    """Slope and intercept in the log-odds."""

    kind: Literal["sigmoid"] = "sigmoid"
    slope: float = Field(ge=0)
    intercept: float

    @classmethod
    def fit(cls, scores: Array, hit: Array) -> Self:
        """The line of the least log loss."""
        hits = float(hit.sum())
        misses = hit.size - hits
        target = np.where(hit == 1, (hits + 1) / (hits + 2), 1 / (misses + 2))
        odds = log_odds(scores, nearest=_TINY)
        slope, intercept = _line(odds, target) if np.ptp(odds) > 0 else (0.0, 0.0)
        if slope <= 0:
            share = float(target.mean())
            return cls(slope=0.0, intercept=float(np.log(share / (1 - share))))
        return cls(slope=slope, intercept=intercept)

    def apply(self, scores: Array) -> Array:
        """The probability whose log-odds the line says."""
        return chance_of(self.slope * log_odds(scores, nearest=_TINY) + self.intercept)

    def reach(self, tolerance: float) -> float:
        """The largest of some thousand places, denser towards the ends, and a tenth more for those between them."""
        ends = np.geomspace(_TINY, 0.5, 2001)
        places = np.concatenate([[0.0], ends, np.linspace(0, 1, 2001), 1 - ends, [1 - tolerance, 1.0]])
        return 1.1 * float((self.apply(places + tolerance) - self.apply(places)).max())


def _line(odds: Array, target: Array) -> tuple[float, float]:
    """Slope and intercept by damped Newton steps, on odds scaled to mean 0 and deviation 1.

    Sums, no matrix products, whose order of additions depends on the number of threads.
    """
    mean, deviation = float(odds.mean()), float(odds.std())
    x = (odds - mean) / deviation
    slope, intercept = 0.0, float(np.log(target.mean() / (1 - target.mean())))
    loss = _loss(slope * x + intercept, target)
    for _ in range(_STEPS):
        chance = chance_of(slope * x + intercept)
        error, spread = chance - target, chance * (1 - chance)
        of_slope, of_intercept = float((error * x).sum()), float(error.sum())
        xx, x1, x0 = float((spread * x * x).sum()) + 1e-12, float((spread * x).sum()), float(spread.sum()) + 1e-12
        if max(abs(of_slope), abs(of_intercept)) < 1e-9 * target.size:
            break
        whole = xx * x0 - x1 * x1
        by_slope, by_intercept = (
            (x0 * of_slope - x1 * of_intercept) / whole,
            (xx * of_intercept - x1 * of_slope) / whole,
        )
        step = 1.0
        while (new := _loss((slope - step * by_slope) * x + intercept - step * by_intercept, target)) > loss:
            step /= 2
            if step < 1e-10:
                return slope / deviation, intercept - slope * mean / deviation
        slope, intercept, loss = slope - step * by_slope, intercept - step * by_intercept, new
    return slope / deviation, intercept - slope * mean / deviation


def _loss(odds: Array, target: Array) -> float:
    """The sum of log losses, without an overflow."""
    return float((np.logaddexp(0, odds) - target * odds).sum())
