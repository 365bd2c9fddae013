"""The world that estimators are asked about: six inputs of very different scales, and an estimator fitted on it.

Two of the inputs move the odds, one is constant and one always missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.core.candles import TS
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.settings import EstimatorSettings

NAMES: Final = ("odds", "more_odds", "small", "large", "constant", "empty")
CONSTANT, EMPTY = 4, 5
ROWS: Final = 3_000
UNSEEN: Final = 400
BEGIN: Final = datetime(2024, 1, 1, tzinfo=UTC)
BAR: Final = timedelta(minutes=15)
LIFE: Final = 24 * BAR


@dataclass(frozen=True)
class Case:
    """An estimator, its parameters, and the world that it is asked about."""

    estimator: Estimator[Any]
    parameters: EstimatorSettings

    @cached_property
    def rows(self) -> Array:
        """What it is fitted on."""
        return self.shaped(world(ROWS, 1)[0])

    @cached_property
    def target(self) -> Array:
        """Of the rows that it is fitted on."""
        return world(ROWS, 1)[1]

    @cached_property
    def unseen(self) -> Array:
        """Other rows of that world."""
        return self.shaped(world(UNSEEN, 2)[0])

    @cached_property
    def fitted(self) -> Fitted:
        """Fitted once."""
        return self.fit(self.rows)

    def fit(self, rows: Array, weights: Array | None = None) -> Fitted:
        """Fit on rows with the world's target."""
        return self.estimator.fit(
            rows,
            self.target,
            weights,
            times=times(len(rows)),
            parameters=self.parameters,
            features=NAMES,
            seed=self.parameters.seed,
        )

    def load(self, files: Files) -> Fitted:
        """Read back what was saved."""
        return self.estimator.load(files, parameters=self.parameters, features=NAMES)

    def shaped(self, values: Array) -> Array:
        """The rows as the estimator wants them: windows, where it looks back."""
        back = self.estimator.lookback_rows(self.parameters)
        if back == 1:
            return values
        padded = np.concatenate([np.full((back - 1, values.shape[1]), np.nan), values])
        windows = np.lib.stride_tricks.sliding_window_view(padded, back, axis=0)
        return np.ascontiguousarray(windows.transpose(0, 2, 1))

    def apart(self, one: Array, other: Array) -> str | None:
        """How far two answers are apart, where that is more than the estimator declares."""
        if np.array_equal(one, other, equal_nan=True):
            return None
        far = float(np.abs(one - other).max())
        allowed = self.estimator.tolerance_of(self.parameters)
        return None if far <= allowed else f"by {far:.3g}, {allowed:g} is declared"


def times(rows: int) -> pl.DataFrame:
    """``known_at, label_end`` of as many decisions, every 15 minutes, each with an outcome six hours later."""
    known_at = pl.datetime_range(BEGIN, BEGIN + rows * BAR, BAR, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"known_at": known_at, "label_end": known_at + LIFE}, {"known_at": TS, "label_end": TS})


def world(rows: int, seed: int) -> tuple[Array, Array]:
    """Inputs, and the target that two of them move."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, len(NAMES))) * [1, 10, 1e-3, 1e4, 1, 1] + [0, 5, 0, -1e6, 0, 0]
    odds = values[:, 0] + 0.1 * (values[:, 1] - 5)
    target = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    values[:, CONSTANT] = 0.1
    values[:, EMPTY] = np.nan
    values[rng.random(rows) < 0.1, 0] = np.nan
    return values, target
