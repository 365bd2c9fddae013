"""A trained classifier: the one path from a feature row to a probability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.errors import ModelError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Classifier:
    """A LightGBM model as text, and the features that it was trained on.

    Walk-forward, backtest and the live node all predict with :meth:`predict` on a model read from its text: the same
    features in the same order and type, the same arithmetic.

    Attributes
    ----------
    features
        The feature columns in the order of training.
    text
        The model in LightGBM's text form.
    """

    features: tuple[str, ...]
    text: str

    @cached_property
    def _booster(self) -> Any:
        from lightgbm import Booster
        from lightgbm.basic import LightGBMError

        try:
            booster = Booster(model_str=self.text)
        except LightGBMError as error:
            raise ModelError(f"not a LightGBM model: {error}", remedy="train it again") from None
        if booster.num_feature() != len(self.features):
            raise ModelError(
                f"the model was trained on {booster.num_feature()} features, not on {len(self.features)}",
                remedy="train it again",
            )
        return booster

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
        # One thread: more only add start-up time to a single row, and nothing to the arithmetic.
        predicted: Matrix = self._booster.predict(values, num_threads=1)
        return predicted

    def contributions(self, values: Matrix) -> Matrix:
        """SHAP values, ``(rows, features)``: what each input adds to the log-odds of its row."""
        contributions: Matrix = self._booster.predict(values, num_threads=1, pred_contrib=True)
        return contributions[:, :-1]  # the last column is the average


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
