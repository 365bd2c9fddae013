"""The learners' libraries as they come, each with the parameters of ours: what they are measured beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trading_assets.models import Dataset
from trading_assets.validation import Fold


def one_fold(model: Any, data: Dataset, fold: Fold) -> None:
    """Train a peer on a fold and ask it about the rows after."""
    train, test = (data.frame[part].select(data.features).to_numpy(order="c") for part in (fold.train, fold.test))
    hit = (data.frame["label"] == 1).to_numpy()[fold.train]
    model.fit(train, hit)
    model.predict_proba(test)


def lightgbm_alone(chosen: Any) -> tuple[str, Any]:
    """LightGBM as it comes, with its own choice of threads and memory: what to call it, and the model."""
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


PEERS: Final[dict[str, Callable[[Any], tuple[str, Any]]]] = {
    "lightgbm": lightgbm_alone,
    "xgboost": _xgboost,
    "logistic": _logistic,
    "catboost": _catboost,
}
"""Kind of estimator -> its library's own class, for the same parameters."""
