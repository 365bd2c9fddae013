"""Logistic regression with an L2 penalty on scaled features: scikit-learn fits it, NumPy alone predicts.

D. R. Cox, "The regression analysis of binary sequences", *Journal of the Royal Statistical Society B* 20, 1958. Of a
linear model with independent inputs, coefficient times distance from the mean is the SHAP value: S. Lundberg and
S.-I. Lee, "A Unified Approach to Interpreting Model Predictions", *Advances in Neural Information Processing Systems*
30, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.class_weights import class_weighted
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.models.estimators.odds import chance_of
from trading_assets.models.estimators.registry import register
from trading_assets.settings import LogisticSettings

FILE: Final = "logistic.json"

_CONSTANT: Final = 1e-10
"""A column whose deviation is below this share of its mean is constant up to rounding."""

_fitting = Lock()
"""The number of threads of the linear algebra is the process's: folds that are fitted side by side take turns."""


class _Saved(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    mean: list[float]
    deviation: list[float] = Field(description="1 where a column was constant.")
    coefficients: list[float] = Field(description="Of the scaled features; 0 where a column was constant.")
    intercept: float
    clip_deviations: float = Field(gt=0)


@dataclass(frozen=True)
class Line(Fitted):
    """A fitted logistic regression.

    Attributes
    ----------
    mean, deviation, coefficients
        For each feature.
    intercept
        The log-odds of a row of means.
    clip
        Deviations at which a value is cut.
    """

    mean: Array
    deviation: Array
    coefficients: Array
    intercept: float
    clip: float

    def predict_proba(self, rows: Array) -> Array:
        """A missing value counts as the training mean."""
        # Sums along each row, not a matrix product, whose order of additions depends on the number of rows.
        odds = self.contributions(rows).sum(axis=1) + self.intercept
        return chance_of(odds)

    def contributions(self, rows: Array) -> Array:
        """Coefficient times scaled value."""
        with np.errstate(over="ignore"):
            scaled = np.clip((rows - self.mean) / self.deviation, -self.clip, self.clip)
        return np.where(np.isnan(scaled), 0.0, scaled) * self.coefficients

    def save(self) -> Files:
        """One JSON file of five entries."""
        saved = _Saved(
            mean=self.mean.tolist(),
            deviation=self.deviation.tolist(),
            coefficients=self.coefficients.tolist(),
            intercept=self.intercept,
            clip_deviations=self.clip,
        )
        return {FILE: (saved.model_dump_json(indent=1) + "\n").encode()}


@register
class Logistic(Estimator[LogisticSettings]):
    """A straight line in the log-odds; equal to the last bit in every batch, after every refit, and read back."""

    parameters = LogisticSettings

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: LogisticSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Scale, then minimise the mean log loss and the penalty by Newton steps; nothing is drawn at random."""
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        del times, features, seed
        weighted = class_weighted(target, weights, parameters)
        counts = np.ones(len(rows)) if weighted is None else weighted
        mean, deviation, useful = _scaling(rows, counts)
        clip = parameters.clip_deviations
        scaled = np.clip((rows[:, useful] - mean[useful]) / deviation[useful], -clip, clip)
        scaled[np.isnan(scaled)] = 0.0
        coefficients = np.zeros(rows.shape[1])
        if not useful.any():
            share = float(np.average(target, weights=counts))
            return Line(mean, deviation, coefficients, float(np.log(share / (1 - share))), clip)
        strength = 1 / (parameters.l2 * counts.sum())  # of the loss's sum, where the penalty is one of its mean
        model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-9, max_iter=parameters.max_iterations)
        with _fitting, threadpool_limits(1, user_api="blas"):
            model.fit(scaled, target, sample_weight=counts)
        if model.n_iter_[0] >= parameters.max_iterations:
            raise ModelError(
                f"it has not settled after {parameters.max_iterations} steps",
                where="estimator logistic",
                remedy="raise l2 or max_iterations",
            )
        coefficients[useful] = model.coef_[0]
        return Line(mean, deviation, coefficients, float(model.intercept_[0]), clip)

    def load(self, files: Files, *, parameters: LogisticSettings, features: Sequence[str]) -> Fitted:
        """Read the JSON file; one that is not of this form, of finite numbers and of one length, is refused."""
        del parameters
        if FILE not in files:
            raise ModelError("the model has no such file", where=FILE, remedy="train it again")
        try:
            saved = _Saved.model_validate_json(files[FILE])
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise ModelError(f"{place}: {wrong['msg']}", where=FILE, remedy="train it again") from None
        columns: list[Any] = [saved.mean, saved.deviation, saved.coefficients]
        for column in columns:
            if len(column) != len(features):
                raise ModelError(
                    f"the model was trained on {len(column)} features, not on {len(features)}",
                    where=FILE,
                    remedy="train it again",
                )
        if min(saved.deviation, default=1) <= 0:
            raise ModelError("a deviation is not above 0", where=FILE, remedy="train it again")
        mean, deviation, coefficients = (np.array(column) for column in columns)
        return Line(mean, deviation, coefficients, saved.intercept, saved.clip_deviations)


def _scaling(rows: Array, counts: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Weighted mean and deviation of the known values of each column, and which columns tell rows apart."""
    known = ~np.isnan(rows)
    each = known * counts[:, np.newaxis]
    total = np.maximum(each.sum(axis=0), np.finfo(float).tiny)
    mean = (each * np.where(known, rows, 0.0)).sum(axis=0) / total
    deviation = np.sqrt((each * np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / total)
    useful = deviation > _CONSTANT * np.abs(mean)
    return mean, np.where(useful, deviation, 1.0), useful
