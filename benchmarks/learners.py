"""A walk-forward by each estimator: eight markets, a year of 15-minute bars, six folds, beside its library as it comes.

In the clock is what the asset `walk_forward` calls on its data set. A peer is the library's own scikit-learn class with
the same parameters, given the same frame, as FreqAI does: one fold of it, times their number. An estimator that looks
back over rows is measured by `python -m benchmarks lstm`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.table import Measurement, Target, best_of, print_table
from benchmarks.train import M15, MARKETS, SPEC, labelled, year_of
from trading_assets import features, models
from trading_assets.models import folds
from trading_assets.models.estimators import installed
from trading_assets.models.inputs import usable_names
from trading_assets.validation import Fold, WalkForward

FAMILIES: Final = ("momentum", "trend", "volatility")
TARGETS: Final = {"lightgbm": 60.0, "xgboost": 90.0, "ensemble": 180.0, "stacked": 180.0}
"""Seconds on two idle cores."""


def run() -> list[Measurement]:
    """Time six folds of each estimator that can be trained here."""
    names = usable_names(timeframe=M15, chosen=FAMILIES)
    bars = {market: year_of(market, seed) for seed, market in enumerate(MARKETS)}
    rows = {market: features.compute(one, timeframe=M15, features=FAMILIES) for market, one in bars.items()}
    data = labelled(bars, rows, names)
    split = WalkForward(SPEC.walk_forward).split(data.frame["known_at"], data.frame["label_end"])
    trained_on = sum(len(fold.train) for fold in split)
    measured = []
    for kind, estimator in installed().items():
        parameters = estimator.parameters()
        if estimator.lookback_rows(parameters) > 1:
            continue
        spec = SPEC.model_copy(update={"estimator": parameters, "features": list(FAMILIES)})
        begin = time.perf_counter()
        folds.walk_forward(data, spec)
        seconds = time.perf_counter() - begin
        name = f"{kind}: {len(split)} folds, {len(MARKETS)} markets, {len(names)} features"
        target = Target(max_seconds=TARGETS[kind]) if kind in TARGETS else None
        peer = _PEERS.get(kind)
        if peer is None:
            measured.append(Measurement(name, seconds, trained_on, target=target))
            continue
        library, model = peer(parameters)
        plain = best_of(lambda chosen=model: _one_fold(chosen, data, split[0]), repeat=1) * len(split)  # type: ignore[misc]
        measured.append(Measurement(name, seconds, trained_on, f"{library}, from one fold", plain, target))
    return measured


def _one_fold(model: Any, data: models.Dataset, fold: Fold) -> None:
    train, test = (data.frame[part].select(data.features).to_numpy(order="c") for part in (fold.train, fold.test))
    hit = (data.frame["label"] == 1).to_numpy()[fold.train]
    model.fit(train, hit)
    model.predict_proba(test)


def _lightgbm(chosen: Any) -> tuple[str, Any]:
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(
        n_estimators=chosen.num_boost_round,
        learning_rate=chosen.learning_rate,
        num_leaves=chosen.num_leaves,
        min_child_samples=chosen.min_data_in_leaf,
        max_bin=chosen.max_bin,
        colsample_bytree=chosen.feature_fraction,
        subsample=chosen.bagging_fraction,
        subsample_freq=1,
        reg_lambda=chosen.lambda_l2,
        random_state=chosen.seed,
        verbosity=-1,
    )
    return "lightgbm, LGBMClassifier", model


def _xgboost(chosen: Any) -> tuple[str, Any]:
    from xgboost import XGBClassifier

    given = chosen.model_dump(exclude={"kind", "seed", "num_boost_round", "class_weight"})
    model = XGBClassifier(
        n_estimators=chosen.num_boost_round,
        random_state=chosen.seed,
        tree_method="hist",
        grow_policy="lossguide",
        max_depth=0,
        **given,
    )
    return "xgboost, XGBClassifier", model


def _logistic(chosen: Any) -> tuple[str, Any]:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    del chosen
    return "scikit-learn, LogisticRegression", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())


def _catboost(chosen: Any) -> tuple[str, Any]:
    from catboost import CatBoostClassifier

    given = chosen.model_dump(exclude={"kind", "seed", "class_weight", "device"})
    model = CatBoostClassifier(random_seed=chosen.seed, verbose=False, allow_writing_files=False, **given)
    return "catboost, CatBoostClassifier", model


_PEERS: Final[dict[str, Callable[[Any], tuple[str, Any]]]] = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "logistic": _logistic,
    "catboost": _catboost,
}

if __name__ == "__main__":
    print_table(run(), title="Learners")
