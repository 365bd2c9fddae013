"""Venn-Abers: isotonic regression twice, as if the new row's outcome were 0 and as if it were 1.

One of the two is calibrated whatever the distribution; the nearer they are, the more is known. The probability between
them is ``p1 / (1 - p0 + p1)``, which loses least to the worse of the two. It never says 0 or 1, and where few rows
speak it stays nearer to a half than isotonic regression does.

Sources: V. Vovk and I. Petej, "Venn-Abers Predictors", UAI 2014; V. Vovk, I. Petej and V. Fedorova, "Large-scale
Probabilistic Predictors with and without Guarantees of Validity", NeurIPS 2015, of which the tables of all answers are
computed here once, by the max-min formulas of isotonic regression.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from trading_assets.models.confidence.curve import Array, Curve, check_ascending, register

MAX_KNOTS: Final = 500
"""Scores that are told apart: of more, neighbours are taken together, as many in each group."""


@register
class VennAbers(Curve):
    """Scores, ascending, and both answers at each.

    Between two scores the lower answer is that of the score below, the upper one that of the score above.
    """

    kind: Literal["venn_abers"] = "venn_abers"
    scores: list[float] = Field(min_length=1)
    lower: list[float] = Field(min_length=1)
    upper: list[float] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if not len(self.scores) == len(self.lower) == len(self.upper):
            raise ValueError(f"{len(self.lower)} and {len(self.upper)} answers of {len(self.scores)} scores")
        check_ascending(self.scores, "scores", strictly=True)
        check_ascending([0.0, *self.lower, 1.0], "lower answers")
        check_ascending([0.0, *self.upper, 1.0], "upper answers")
        return self

    @classmethod
    def fit(cls, scores: Array, hit: Array) -> Self:
        """Both answers for a row that is added at each score."""
        knots, rows, hits = _grouped(scores, hit)
        count, total = (np.concatenate([[0.0], np.cumsum(one)]) for one in (rows, hits))
        # All groups from a to b: (a, b). Those with b < a take no part.
        within = np.triu(np.ones((knots.size, knots.size), dtype=bool))
        n, y = count[np.newaxis, 1:] - count[:-1, np.newaxis], total[np.newaxis, 1:] - total[:-1, np.newaxis]
        with_miss = np.where(within, y / (np.maximum(n, 0) + 1), np.inf)
        with_hit = np.where(within, (y + 1) / (np.maximum(n, 0) + 1), -np.inf)
        least = np.minimum.accumulate(with_miss[:, ::-1], axis=1)[:, ::-1]  # (a, j): over all b >= j
        most = np.maximum.accumulate(with_hit, axis=0)  # (j, b): over all a <= j
        lower = [float(least[: j + 1, j].max()) for j in range(knots.size)]
        upper = [float(most[j, j:].min()) for j in range(knots.size)]
        return cls(
            scores=knots.tolist(),
            lower=np.clip(np.maximum.accumulate(lower), 0, 1).tolist(),
            upper=np.clip(np.maximum.accumulate(upper), 0, 1).tolist(),
        )

    def apply(self, scores: Array) -> Array:
        """One probability from both answers."""
        known, lower, upper = self._tables
        low, high = lower[np.searchsorted(known, scores, "right")], upper[np.searchsorted(known, scores, "left")]
        merged: Array = high / (1 - low + high)
        return np.where(np.isnan(scores), np.nan, merged)

    def reach(self, tolerance: float) -> float:
        """It steps at each score, so that the largest step counts however small the tolerance."""
        known, _, _ = self._tables
        places = np.concatenate([known, np.nextafter(known, -1), np.nextafter(known, 2)])
        apart = self.apply(np.maximum(places + tolerance, np.nextafter(places, 2))) - self.apply(places)
        return float(apart.max())

    @cached_property
    def _tables(self) -> tuple[Array, Array, Array]:
        return np.array(self.scores), np.array([0.0, *self.lower]), np.array([*self.upper, 1.0])


def _grouped(scores: Array, hit: Array) -> tuple[Array, Array, Array]:
    """Scores that are told apart, ascending, each with its rows and its hits."""
    known, place = np.unique(scores, return_inverse=True)
    if known.size > MAX_KNOTS:
        order = np.argsort(scores, kind="stable")
        rank = np.empty(scores.size, dtype=np.intp)
        rank[order] = np.arange(scores.size)
        # Equal scores stay together: each goes with its first row.
        first = np.full(known.size, scores.size)
        np.minimum.at(first, place, rank)
        group = np.unique(first * MAX_KNOTS // scores.size, return_inverse=True)[1]
        place = group[place]
        rows = np.bincount(place).astype(np.float64)
        known = np.bincount(place, weights=scores) / rows
    rows = np.bincount(place).astype(np.float64)
    return known, rows, np.bincount(place, weights=hit)
