"""Each estimator beside its library's own call: the fit, and one row, as a node asks it when a bar closes.

In the clock of one row is `Classifier.predict` on a frame of one row: choosing the columns, the matrix, the arithmetic.
The peer gets the matrix. Both take turns, so that what else the machine does strikes both. All train in one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from trading_assets.models import Classifier
from trading_assets.models.estimators import installed, registered
from trading_assets.models.estimators.proof_case import times

FEATURES = tuple(f"feature_{number}" for number in range(282))
FIT_ROWS, ROWS, ROUNDS = 20_000, 4_000, 2_000
TARGET = Target(max_seconds=10e-3)


def run() -> list[Measurement]:
    """Time each kind that is installed."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(FIT_ROWS, len(FEATURES)))
    hit = (rng.random(FIT_ROWS) < 1 / (1 + np.exp(-values[:, 0]))).astype(float)
    kinds = [kind for kind, one in installed().items() if one.lookback_rows(one.parameters()) == 1]  # else: lstm.py
    return [one for kind in kinds for one in (_fit(kind, values, hit), _one_row(kind, values[:ROWS], hit[:ROWS]))]


def _fit(kind: str, values: Any, hit: Any) -> Measurement:
    """Seconds of training."""
    peer_name, train = PEERS.get(kind, ("", None))
    parameters = registered()[kind].parameters()
    seconds = best_of(lambda: _trained(kind, values, hit), repeat=1)
    peer = best_of(lambda: train(values, hit, parameters), repeat=1) if train else None
    return Measurement(f"fit of {len(FEATURES)} features by {kind}", seconds, len(values), peer_name, peer)


def _one_row(kind: str, values: Any, hit: Any) -> Measurement:
    """The 99th percentile of one row's seconds."""
    frames = [pl.DataFrame(dict(zip(FEATURES, row, strict=True))) for row in values[:50, :, np.newaxis]]
    calls: list[tuple[Callable[[Any], object], list[Any]]] = [(_trained(kind, values, hit).predict, frames)]
    peer_name, train = PEERS.get(kind, ("", None))
    if train:
        calls.append((train(values, hit, registered()[kind].parameters()), list(values[:50, np.newaxis])))
    seconds, *peer_seconds = p99(calls)
    name = f"one row of {len(FEATURES)} features through {kind}, p99"
    return Measurement(name, seconds, 0, peer_name, peer_seconds[0] if peer_seconds else None, target=TARGET)


def _trained(kind: str, values: Any, hit: Any) -> Classifier:
    estimator = registered()[kind]
    parameters = estimator.parameters()
    given = {"times": times(len(values)), "parameters": parameters, "features": FEATURES, "seed": parameters.seed}
    return Classifier(FEATURES, parameters, estimator.fit(values, hit, None, **given).save())


def p99(calls: Sequence[tuple[Callable[[Any], object], list[Any]]]) -> list[float]:
    """Seconds that one call in a hundred exceeds, of each of several ways to ask."""
    taken_by: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS):
        for taken, (ask, rows) in zip(taken_by, calls, strict=True):
            row = rows[number % len(rows)]
            begin = time.perf_counter()
            ask(row)
            taken.append(time.perf_counter() - begin)
    return [float(np.quantile(taken[100:], 0.99)) for taken in taken_by]


def _lightgbm(values: Any, hit: Any, parameters: Any) -> Callable[[Any], object]:
    import lightgbm

    chosen = parameters.model_dump(exclude={"kind", "num_boost_round", "class_weight"})
    library = {**chosen, "bagging_freq": 1, "objective": "binary", "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(library, lightgbm.Dataset(values, hit), parameters.num_boost_round)
    return lambda row: booster.predict(row, num_threads=1)


def _logistic(values: Any, hit: Any, parameters: Any) -> Callable[[Any], object]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (parameters.l2 * len(values))))
    return model.fit(values, hit).predict_proba


def _xgboost(values: Any, hit: Any, parameters: Any) -> Callable[[Any], object]:
    from xgboost import XGBClassifier

    chosen = parameters.model_dump(exclude={"kind", "num_boost_round", "class_weight", "seed"})
    shape = {"tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "n_jobs": 1}
    return XGBClassifier(n_estimators=parameters.num_boost_round, **shape, **chosen).fit(values, hit).predict_proba


def _hist_gradient_boosting(values: Any, hit: Any, parameters: Any) -> Callable[[Any], object]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    chosen = parameters.model_dump(exclude={"kind", "seed", "class_weight"})
    with threadpool_limits(1):
        model = HistGradientBoostingClassifier(early_stopping=False, random_state=parameters.seed, **chosen)
        return model.fit(values, hit).predict_proba


def _catboost(values: Any, hit: Any, parameters: Any) -> Callable[[Any], object]:
    from catboost import CatBoostClassifier

    chosen = parameters.model_dump(exclude={"kind", "seed", "class_weight", "device"})
    shape = {"bootstrap_type": "Bernoulli", "boosting_type": "Plain", "thread_count": 1, "verbose": False}
    return CatBoostClassifier(allow_writing_files=False, **shape, **chosen).fit(values, hit).predict_proba


PEERS: dict[str, tuple[str, Callable[[Any, Any, Any], Callable[[Any], object]]]] = {
    "lightgbm": ("lightgbm, Booster", _lightgbm),
    "logistic": ("scikit-learn, LogisticRegression", _logistic),
    "hist_gradient_boosting": ("scikit-learn, HistGradientBoosting", _hist_gradient_boosting),
    "catboost": ("catboost, CatBoostClassifier", _catboost),
    "xgboost": ("xgboost, XGBClassifier", _xgboost),
}

if __name__ == "__main__":
    main(run, __doc__, title="Estimators")
