"""An estimator of the tests' own: it reads five rows, promises no last bit, and cannot say SHAP values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from tests.seats import registered_here
from trading_assets.core.errors import ModelError
from trading_assets.models.estimators import Array, Estimator, Files, Fitted, register, registry
from trading_assets.settings import EstimatorSettings

BACK = 5


class TrailingSettings(EstimatorSettings):
    """How many rows are looked back on."""

    kind: Literal["trailing"] = "trailing"
    rows: int = BACK


@dataclass(frozen=True)
class Mean(Fitted):
    """The odds follow the mean of the known values of the window, weighted by column."""

    weights: Array
    share: float

    def predict_proba(self, rows: Array) -> Array:
        # One product over all rows: in another batch the last bits differ, as in a library that promises no more.
        odds = np.nan_to_num(rows).mean(axis=1) @ self.weights + np.log(self.share / (1 - self.share))
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))

    def save(self) -> Files:
        return {"mean.json": json.dumps({"weights": self.weights.tolist(), "share": self.share}).encode()}


class Trailing(Estimator[TrailingSettings]):
    """Correlations as weights: it learns little, and the same each time."""

    parameters = TrailingSettings
    tolerance = 1e-9

    def lookback_rows(self, parameters: TrailingSettings) -> int:
        return parameters.rows

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: TrailingSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        del weights, times, features, seed
        assert rows.shape[1] == parameters.rows
        means = np.nan_to_num(rows).mean(axis=1)
        pulls = ((means - means.mean(axis=0)) * (target - target.mean())[:, np.newaxis]).mean(axis=0)
        return Mean(pulls / np.maximum(means.var(axis=0), 1e-12), float(target.mean()))

    def load(self, files: Files, *, parameters: TrailingSettings, features: Sequence[str]) -> Fitted:
        del parameters
        try:
            saved = json.loads(files["mean.json"])
            made = Mean(np.array(saved["weights"], float), float(saved["share"]))
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(f"not a trailing mean: {error}", where="mean.json") from None
        if made.weights.shape != (len(features),):
            raise ModelError(f"trained on {made.weights.size} features, not on {len(features)}", where="mean.json")
        return made


@contextmanager
def trailing() -> Iterator[TrailingSettings]:
    """The estimator is registered within; its parameters."""
    with registered_here(registry._ESTIMATORS):
        register(Trailing)
        yield TrailingSettings()
