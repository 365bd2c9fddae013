"""A trained classifier: the one path from a feature row to a probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.models.confidence import Confidence
from trading_assets.models.estimators import Estimator, Fitted, estimator_of
from trading_assets.models.estimators.contract import Replaced
from trading_assets.models.windows import Matrix, inputs, matrix
from trading_assets.settings import EstimatorSettings

BATCH: Final = 4_096
"""Windows that are asked about at once, where an estimator looks back: together they would be many times the rows."""


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
    confidence
        What turns its scores into probabilities and prediction sets; None where they stay as they are.
    """

    features: tuple[str, ...]
    parameters: EstimatorSettings
    files: Mapping[str, bytes]
    confidence: Confidence | None = None

    @property
    def estimator(self) -> Estimator[Any]:
        """What learnt it."""
        return estimator_of(self.parameters)

    @property
    def tolerance(self) -> float:
        """How far apart two probabilities of one row may be; 0 promises equality to the last bit."""
        own = self.estimator.tolerance_of(self.parameters)
        return own if self.confidence is None else self.confidence.reach(own)

    @cached_property
    def _fitted(self) -> Fitted:
        return self.estimator.load(self.files, parameters=self.parameters, features=self.features)

    @property
    def lookback_rows(self) -> int:
        """How many feature rows of a market one prediction reads, its own included."""
        return self.estimator.lookback_rows(self.parameters)

    def predict(self, frame: pl.DataFrame, history: pl.DataFrame | None = None) -> pl.Series:
        """The probability that take-profit comes first, for each row.

        Parameters
        ----------
        frame
            Rows of the ``features`` table: must have the model's feature columns, in any order, among others. A null
            counts as NaN, which the model treats as "missing".
        history
            Feature rows before these, which a model that looks back reads.

        Returns
        -------
        polars.Series
            ``probability``, Float64, in the frame's order.

        Raises
        ------
        ModelError
            If a feature column is missing or not numeric.
        """
        scores = self.scores(frame, history)
        known = scores if self.confidence is None else self.confidence.probabilities(scores)
        return pl.Series("probability", known, pl.Float64)

    def answers(self, frame: pl.DataFrame, history: pl.DataFrame | None = None) -> pl.DataFrame:
        """What :meth:`predict` says, with what it comes from.

        Returns
        -------
        polars.DataFrame
            ``probability``; ``raw_probability``, the estimator's own; ``prediction_set`` (Int8, see
            :mod:`trading_assets.models.confidence.conformal`), null where none are made.
        """
        scores = self.scores(frame, history)
        own = self.confidence or Confidence()
        sets = own.sets(scores)
        return pl.DataFrame(
            {
                "probability": pl.Series(own.probabilities(scores), dtype=pl.Float64),
                "raw_probability": pl.Series(scores, dtype=pl.Float64),
                "prediction_set": pl.Series([None] * len(scores) if sets is None else sets, dtype=pl.Int8),
            }
        )

    def said(self, frame: pl.DataFrame, history: pl.DataFrame | None = None) -> tuple[list[float], list[int] | None]:
        """Probabilities and prediction sets alone, as a decision needs them; see :meth:`answers`."""
        return self._decided(self.scores(frame, history))

    def said_of(self, values: Matrix) -> tuple[list[float], list[int] | None]:
        """What :meth:`said` says of rows of :meth:`inputs`."""
        return self._decided(self.probabilities(values))

    def _decided(self, scores: Matrix) -> tuple[list[float], list[int] | None]:
        if self.confidence is None:
            return scores.tolist(), None
        sets = self.confidence.sets(scores)
        return self.confidence.probabilities(scores).tolist(), None if sets is None else sets.tolist()

    def scores(self, frame: pl.DataFrame, history: pl.DataFrame | None = None) -> Matrix:
        """The estimator's own probability for each row, before calibration; parameters as :meth:`predict`."""
        back = self.lookback_rows
        if frame.is_empty():
            return np.empty(0)
        if back == 1:
            return self.probabilities(matrix(frame, self.features))
        known = _before(frame, history, back)
        parts = [
            self.probabilities(inputs(frame[begin : begin + BATCH], self.features, back, known))
            for begin in range(0, frame.height, BATCH)
        ]
        return np.concatenate(parts)

    def inputs(self, frame: pl.DataFrame, history: pl.DataFrame | None = None) -> Matrix:
        """What the model reads of rows of the ``features`` table; see :func:`trading_assets.models.windows.inputs`."""
        return inputs(frame, self.features, self.lookback_rows, _before(frame, history, self.lookback_rows))

    def probabilities(self, values: Matrix) -> Matrix:
        """What the estimator says of each row of :meth:`inputs`, before calibration."""
        return self._fitted.predict_proba(values)

    def replacing(self, values: Matrix) -> Replaced:
        """The same with one input replaced by other values, for who asks of many inputs."""
        return self._fitted.replacing(values)

    def contributions(self, values: Matrix) -> Matrix | None:
        """SHAP values, ``(rows, features)``: what each input adds to the log-odds; None where it cannot be said."""
        return self._fitted.contributions(values)


def _before(frame: pl.DataFrame, history: pl.DataFrame | None, lookback_rows: int) -> pl.DataFrame | None:
    """The rows of a frame are among each other's history."""
    if lookback_rows == 1 or history is None:
        return None if lookback_rows == 1 else frame
    return pl.concat([frame.select(history.columns), history], how="vertical_relaxed")
