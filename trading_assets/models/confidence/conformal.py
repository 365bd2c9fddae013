"""Prediction sets that hold the outcome as often as was promised, whatever the probabilities are worth.

On rows that the model had not seen it is known how little it gave to what happened (one minus its probability). The
quantile of that at the promised coverage is kept; a new row's set holds every outcome to which the model gives no less.
A set of one outcome is a certain answer, one of both says that the model cannot tell. The promise holds over all rows
together where new rows are like the old ones: a market that changes breaks it, which is why coverage is measured on
every fold, in every regime, and live.

Sources: V. Vovk, A. Gammerman and G. Shafer, *Algorithmic Learning in a Random World*, Springer 2005; the score M.
Sadinle, J. Lei and L. Wasserman, "Least Ambiguous Set-valued Classifiers with Bounded Error Levels", *JASA* 114, 2019;
A. N. Angelopoulos and S. Bates, "A Gentle Introduction to Conformal Prediction", arXiv:2107.07511, 2021. As the library
MAPIE has it (``LAC``).
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from trading_assets.models.confidence.curve import Array, Frozen
from trading_assets.validation.coverage import OTHER, TAKE_PROFIT

Sets = npt.NDArray[np.int8]


class Conformal(Frozen):
    """What a set is made by.

    Attributes
    ----------
    coverage
        The promise.
    quantile
        An outcome is in the set where its probability is at least one minus this; 1 where too few rows were seen: both
        are in every set.
    rows
        How many were seen.
    """

    coverage: float = Field(gt=0, lt=1)
    quantile: float = Field(ge=0, le=1)
    rows: int = Field(ge=0)

    @classmethod
    def fit(cls, probability: Array, hit: Array, coverage: float) -> Self:
        """From probabilities that are given without knowing the outcomes (1 or 0)."""
        doubt = np.sort(np.where(hit == 1, 1 - probability, probability))
        place = math.ceil((doubt.size + 1) * coverage)
        quantile = float(doubt[place - 1]) if place <= doubt.size else 1.0
        return cls(coverage=coverage, quantile=quantile, rows=doubt.size)

    def sets(self, probability: Array) -> Sets:
        """The set of each probability."""
        held: Sets = (TAKE_PROFIT * (1 - probability <= self.quantile) + OTHER * (probability <= self.quantile)).astype(
            np.int8
        )
        return held
