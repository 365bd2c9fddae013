"""Isotonic regression: the steps that never fall and are nearest to the outcomes, joined by straight lines.

It asks for nothing but order, and takes many rows for it: the last step is the mean of a few of the highest scores.

Sources: B. Zadrozny and C. Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD
2002; fitted by scikit-learn, whose calibrated classifiers predict the same.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from trading_assets.models.confidence.curve import Array, Curve, check_ascending, register


@register
class Isotonic(Curve):
    """Scores, ascending, and the probability at each; between two on the line, beyond the ends as at the end."""

    kind: Literal["isotonic"] = "isotonic"
    scores: list[float] = Field(min_length=1)
    probabilities: list[float] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.scores) != len(self.probabilities):
            raise ValueError(f"{len(self.probabilities)} probabilities of {len(self.scores)} scores")
        check_ascending(self.scores, "scores", strictly=True)
        check_ascending([0.0, *self.probabilities, 1.0], "probabilities")
        return self

    @classmethod
    def fit(cls, scores: Array, hit: Array) -> Self:
        """Pool adjacent violators."""
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, hit)
        return cls(scores=fitted.X_thresholds_.tolist(), probabilities=fitted.y_thresholds_.tolist())

    def apply(self, scores: Array) -> Array:
        """Interpolate."""
        said: Array = np.where(np.isnan(scores), np.nan, np.interp(scores, *self._knots))
        return said

    def reach(self, tolerance: float) -> float:
        """The line is steepest from a knot on, or up to one."""
        knots, _ = self._knots
        ends = np.concatenate([knots, knots - tolerance])
        return float((self.apply(ends + tolerance) - self.apply(ends)).max())

    @cached_property
    def _knots(self) -> tuple[Array, Array]:
        return np.array(self.scores), np.array(self.probabilities)
