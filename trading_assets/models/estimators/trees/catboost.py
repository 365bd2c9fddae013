"""CatBoost: gradient boosted symmetric trees; the library grows them, NumPy alone predicts.

L. Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features", *Advances in Neural Information
Processing Systems* 31, 2018. All nodes of a level of a tree ask the same question, which restrains what a tree can fit.
The library is large; what it grew is read from its own JSON form and kept as columns of numbers, so that a model is
asked where the library is not installed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.class_weights import class_weighted
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.models.estimators.registry import register
from trading_assets.models.estimators.trees.forest import LEAF, Forest
from trading_assets.settings import CatBoostSettings

FILE: Final = "catboost.json"

_LARGEST: Final = 1e37
"""Where an input of training is cut: the library reads single precision."""


@register
class CatBoost(Estimator[CatBoostSettings]):
    """Symmetric trees; equal to the last bit in every batch, after every refit, and read back."""

    parameters = CatBoostSettings

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: CatBoostSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Train ``iterations`` trees, and write down where they split."""
        del times
        if lacking := parameters.lacks():
            raise ModelError(f"training {lacking}", where="estimator catboost", remedy="or choose another kind")
        import catboost
        from catboost.utils import get_gpu_device_count

        if parameters.device == "cuda" and get_gpu_device_count() < 1:
            raise ModelError(
                "no CUDA device is there for CatBoost",
                where="estimator catboost: device",
                remedy="write device: cpu",
            )
        counts = class_weighted(target, weights, parameters)
        single = np.clip(rows, -_LARGEST, _LARGEST).astype(np.float32)
        model = catboost.CatBoost(_library(parameters, seed))
        model.fit(catboost.Pool(single, target, weight=counts, thread_count=1))
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "model.json"
            model.save_model(str(place), format="json")
            grown = json.loads(place.read_text())
        return _forest(grown, len(features))

    def load(self, files: Files, *, parameters: CatBoostSettings, features: Sequence[str]) -> Fitted:
        """Read the JSON's columns; what are not trees is refused."""
        del parameters
        return Forest.read(FILE, files, features)


def _library(settings: CatBoostSettings, seed: int) -> dict[str, Any]:
    chosen = settings.model_dump(exclude={"kind", "seed", "class_weight", "device"})
    if settings.device == "cuda":
        del chosen["rsm"]  # there the library draws no features
    return {
        "loss_function": "Logloss",
        "boosting_type": "Plain",
        "bootstrap_type": "Bernoulli",
        "boost_from_average": True,
        "task_type": "GPU" if settings.device == "cuda" else "CPU",
        "thread_count": 1,
        "allow_writing_files": False,
        "logging_level": "Silent",
        "random_seed": seed,
        **chosen,
    }


def _forest(grown: Mapping[str, Any], features: int) -> Forest:
    """The library's trees, whose leaves are numbered by the answers to their questions, as nodes."""
    columns = {one["feature_index"]: one["flat_feature_index"] for one in grown["features_info"]["float_features"]}
    missing_right = {
        one["flat_feature_index"]
        for one in grown["features_info"]["float_features"]
        if one["nan_value_treatment"] == "AsTrue"
    }
    scale, (base,) = grown["scale_and_bias"]
    roots: list[int] = []
    nodes: list[tuple[int, float, bool, int, int, float, float]] = []
    for tree in grown["oblivious_trees"]:
        first = len(nodes)
        roots.append(first)
        # Level by level from the root: the last question is the highest digit of a leaf's number.
        questions = [(columns[one["float_feature_index"]], one["border"]) for one in reversed(tree["splits"] or [])]
        values, covers = np.array(tree["leaf_values"], float) * scale, np.array(tree["leaf_weights"], float)
        for level, (column, border) in enumerate(questions):
            below = first + 2 ** (level + 1) - 1
            for place, cover in enumerate(covers.reshape(2**level, -1).sum(axis=1)):
                left = below + 2 * place
                nodes.append((column, _threshold(border), column not in missing_right, left, left + 1, 0.0, cover))
        nodes += [(0, 0.0, False, LEAF, LEAF, value, cover) for value, cover in zip(values, covers, strict=True)]
    kinds = (np.intp, float, bool, np.intp, np.intp, float, float)
    turned = [np.array([node[place] for node in nodes], kind) for place, kind in enumerate(kinds)]
    feature, threshold, missing_left, left_nodes, right_nodes, value, cover = turned
    return Forest(
        FILE,
        features,
        float(base),
        np.array(roots, np.intp),
        feature,
        threshold,
        missing_left,
        left_nodes,
        right_nodes,
        value,
        cover,
    )


def _threshold(border: float) -> float:
    """The largest number that in single precision is at most the border: the library rounds what it asks about."""
    single = np.float32(border)
    above = np.nextafter(single, np.float32(np.inf))
    middle = (float(single) + float(above)) / 2
    # Halfway between two numbers a value is rounded to the one whose last bit is 0.
    even = not int(single.view(np.uint32)) & 1
    return middle if even else float(np.nextafter(middle, -np.inf))
