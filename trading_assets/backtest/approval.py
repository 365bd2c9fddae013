"""Whether what was judged is what would be approved: one data set, one configuration, one way to trade."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import polars as pl
from pydantic import BaseModel

from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import ModelError
from trading_assets.models import Bundle, bundle
from trading_assets.registry import ModelVersion, configuration
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import PREDICTIONS

Said = Mapping[str, Any]
"""What the newest walk-forward, candidate or backtest of a model said of itself."""

_LATER = ("raw_probability", "prediction_set", "gain", "loss")
"""Columns of predictions that those of before do not have."""

_AGAIN = "run the whole job retrain for it"


def traded_with(settings: Settings, model: str) -> str:
    """Identify the settings that a backtest depends on: the model's, its labels', costs and capital, risk limits."""
    return _hash_of(
        settings.models[model].ungated(), settings.labels_of(model), settings.simulation, settings.trading.risk
    )


def conditions(settings: Settings) -> str:
    """Identify what backtests of any model are traded under: costs and capital, risk limits."""
    return _hash_of(settings.simulation, settings.trading.risk)


def _hash_of(*parts: BaseModel) -> str:
    return hashlib.sha256("\n".join(part.model_dump_json() for part in parts).encode()).hexdigest()


def predictions_hash(predictions: pl.DataFrame) -> str:
    """Identify what a backtest traded; columns that came later and say nothing of these rows do not count."""
    silent = [name for name in _LATER if name in predictions.columns and predictions[name].is_null().all()]
    return frame_hash(predictions.drop(silent))


def check_same_data(model: str, *, walked: Said, trained: Said, traded: Said) -> None:
    """Refuse a candidate that learnt from other data than the walk-forward, or that no backtest followed."""
    judged, learnt = walked["dataset_hash"], trained["dataset_hash"]
    if judged != learnt:
        raise ModelError(
            f"backtest and candidate rest on different data sets ({judged[:12]} and {learnt[:12]})",
            where=f"model {model}",
            remedy=_AGAIN,
        )
    if traded["version"] != trained["version"]:
        raise ModelError(
            f"the newest backtest was made for version {traded['version']}, "
            f"the candidate is version {trained['version']}",
            where=f"model {model}",
            remedy=_AGAIN,
        )


def check_same_settings(candidate: ModelVersion, settings: Settings) -> Bundle:
    """The candidate's bundle; refuses another threshold, barriers or learner than the settings that were traded."""
    held = bundle.load(candidate.bundle_path, expected_hash=candidate.bundle_hash, plugins=settings.plugged)
    spec = settings.models[candidate.name]
    if (held.spec.ungated(), held.labels) != (spec.ungated(), settings.labels_of(candidate.name)):
        raise ModelError(
            "the settings of the model or of its labels changed after it was trained",
            where=f"model {candidate.name} version {candidate.version}",
            remedy=_AGAIN,
        )
    return held


def check_same_research(candidate: Bundle, settings: Settings, store: Store, *, walked: Said, traded: Said) -> None:
    """Refuse a backtest that was traded otherwise than the settings say, or on what another walk-forward predicted."""
    model = candidate.model
    tried = configuration(
        candidate.spec, candidate.labels, features=candidate.features, fingerprint=candidate.feature_fingerprint
    )
    predicted = predictions_hash(store.read(PREDICTIONS, where={"model": model}))
    for found, wanted, problem in (
        (traded.get("traded_with"), traded_with(settings, model), "the newest backtest was traded with other settings"),
        (
            walked.get("configuration"),
            tried,
            "the newest walk-forward tried another configuration than the candidate's",
        ),
        (
            traded.get("predictions_hash"),
            predicted,
            "the newest backtest traded other predictions than the newest walk-forward made",
        ),
    ):
        if found != wanted:
            raise ModelError(problem, where=f"model {model}", remedy=_AGAIN)
