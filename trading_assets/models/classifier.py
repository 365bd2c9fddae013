"""A trained classifier: the one path from a feature row to a probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators import Estimator, Fitted, estimator_of
from trading_assets.settings import EstimatorSettings

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Classifier:
    """A fitted estimator as its files, and the features that it was trained on.

    Walk-forward, backtest and the live node all predict with :meth:`predict` on a model read from its files: the same
    features in the same order and type, the same arithmetic.

    Attributes
    ----------
    features
        The feature columns in the order of training.
    parameters
        Of the estimator, whose kind they name.
    files
        What the fitted estimator saved: name -> content.
    """

    features: tuple[str, ...]
    parameters: EstimatorSettings
    files: Mapping[str, bytes]

    @property
    def estimator(self) -> Estimator[Any]:
        """What learnt it."""
        return estimator_of(self.parameters.kind)

    @property
    def tolerance(self) -> float:
        """How far apart two probabilities of one row may be; 0 promises equality to the last bit."""
        return self.estimator.tolerance

    @cached_property
    def _fitted(self) -> Fitted:
        return self.estimator.load(self.files, parameters=self.parameters, features=self.features)

    def predict(self, frame: pl.DataFrame) -> pl.Series:
        """The probability that take-profit comes first, for each row.

        Parameters
        ----------
        frame
            Rows of the ``features`` table: must have the model's feature columns, in any order, among others. A null
            counts as NaN, which the model treats as "missing".

        Returns
        -------
        polars.Series
            ``probability``, Float64, in the frame's order.

        Raises
        ------
        ModelError
            If a feature column is missing or not numeric.
        """
        if frame.is_empty():
            return pl.Series("probability", [], pl.Float64)
        return pl.Series("probability", self.probabilities(self.matrix(frame)), pl.Float64)

    def matrix(self, frame: pl.DataFrame) -> Matrix:
        """The model's inputs from rows of the ``features`` table; see :func:`matrix`."""
        return matrix(frame, self.features)

    def probabilities(self, values: Matrix) -> Matrix:
        """The probability of each row of :meth:`matrix`."""
        return self._fitted.predict_proba(values)

    def contributions(self, values: Matrix) -> Matrix | None:
        """SHAP values, ``(rows, features)``: what each input adds to the log-odds; None where it cannot be said."""
        return self._fitted.contributions(values)


def matrix(frame: pl.DataFrame, features: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """The feature columns as a float64 matrix, row-major, in the given order.

    Raises
    ------
    ModelError
        If a column is missing or not numeric.
    """
    present = set(frame.columns)
    missing = [name for name in features if name not in present]
    if missing:
        raise ModelError(
            f"the frame lacks the features {', '.join(missing[:5])}{' ...' if missing[5:] else ''}",
            remedy="compute features with the code that the model was trained with",
        )
    chosen = frame[list(features)]
    if set(chosen.dtypes) != {pl.Float64}:
        try:
            chosen = chosen.cast(pl.Float64)
        except pl.exceptions.PolarsError as error:
            raise ModelError(f"a feature is not numeric: {error}", remedy="compute features again") from None
    return chosen.to_numpy(order="c")
