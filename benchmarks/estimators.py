"""One row through each estimator, as a node asks it when a bar closes, beside the library's own call on the same array.

In the clock is `Classifier.predict` on a frame of one row: choosing the columns, the matrix, the arithmetic. The peer
gets the matrix. Both take turns, so that what else the machine does strikes both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, print_table
from trading_assets.models import Classifier
from trading_assets.models.estimators import registered
from trading_assets.models.estimators.proof_case import times

FEATURES = tuple(f"feature_{number}" for number in range(282))
ROWS, ROUNDS = 4_000, 2_000
TARGET = Target(max_seconds=10e-3)


def run() -> list[Measurement]:
    """Time the 99th percentile of one row."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(ROWS, len(FEATURES)))
    hit = (rng.random(ROWS) < 1 / (1 + np.exp(-values[:, 0]))).astype(float)
    frames = [pl.DataFrame(dict(zip(FEATURES, row, strict=True))) for row in values[:50, :, np.newaxis]]
    measured = []
    for kind, estimator in registered().items():
        parameters = estimator.parameters()
        fitted = estimator.fit(
            values, hit, None, times=times(ROWS), parameters=parameters, features=FEATURES, seed=parameters.seed
        )
        classifier = Classifier(FEATURES, parameters, fitted.save())
        calls = [(classifier.predict, frames)]
        peer_name = ""
        if kind in PEERS:
            peer_name, peer = PEERS[kind](values, hit, parameters)
            calls.append((peer, list(values[:50, np.newaxis])))
        seconds, *peer_seconds = p99(calls)
        name = f"one row of {len(FEATURES)} features through {kind}, p99"
        measured.append(
            Measurement(name, seconds, 0, peer_name, peer_seconds[0] if peer_seconds else None, target=TARGET)
        )
    return measured


def p99(calls: Sequence[tuple[Callable[[Any], object], list[Any]]]) -> list[float]:
    """Seconds that one call in a hundred exceeds, of each of several ways to ask."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS):
        for taken, (ask, rows) in zip(times, calls, strict=True):
            row = rows[number % len(rows)]
            begin = time.perf_counter()
            ask(row)
            taken.append(time.perf_counter() - begin)
    return [float(np.quantile(taken[100:], 0.99)) for taken in times]


def _lightgbm(values: Any, hit: Any, parameters: Any) -> tuple[str, Callable[[Any], object]]:
    import lightgbm

    settings = {**parameters.model_dump(exclude={"kind", "num_boost_round"}), "objective": "binary", "verbosity": -1}
    booster = lightgbm.train(settings | {"num_threads": 1}, lightgbm.Dataset(values, hit), parameters.num_boost_round)
    return "lightgbm, Booster.predict", lambda row: booster.predict(row, num_threads=1)


def _logistic(values: Any, hit: Any, parameters: Any) -> tuple[str, Callable[[Any], object]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (parameters.l2 * len(values)))).fit(values, hit)
    return "scikit-learn, predict_proba", model.predict_proba


PEERS = {"lightgbm": _lightgbm, "logistic": _logistic}

if __name__ == "__main__":
    print_table(run(), title="Estimators")
