"""XGBoost: gradient boosted trees by histograms, saved in the library's JSON form.

T. Chen and C. Guestrin, "XGBoost: A Scalable Tree Boosting System", *KDD 2016*. Its own SHAP values are exact for
trees: S. Lundberg et al., "From local explanations to global understanding with explainable AI for trees", *Nature
Machine Intelligence* 2, 2020.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.class_weights import class_weighted
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.models.estimators.odds import chance_of
from trading_assets.models.estimators.registry import register
from trading_assets.models.estimators.trees import xgboost_json
from trading_assets.settings import XGBoostSettings

FILE: Final = "xgboost.json"

_LARGEST: Final = 1e37
"""Where an input is cut: the library reads single precision, and puts its last step at twice the largest value."""


class Trees(Fitted):
    """An XGBoost model.

    Parameters
    ----------
    booster
        The library's model.
    text
        The same in the library's JSON form.
    """

    def __init__(self, booster: Any, text: bytes) -> None:
        self._booster = booster
        self._text = text
        # The library configures a model when it is first asked, which threads must not do side by side.
        self.predict_proba(np.zeros((1, booster.num_features())))

    def predict_proba(self, rows: Array) -> Array:
        """The probability of the library's log-odds; a missing value takes the branch that training chose for it."""
        odds = self._booster.inplace_predict(_single(rows), predict_type="margin").astype(np.float64)
        return chance_of(odds)  # in double precision: near 0 and 1 it matters

    def contributions(self, rows: Array) -> Array:
        """Exact SHAP values, as the library computes them, in single precision."""
        import xgboost

        data = xgboost.DMatrix(_single(rows), nthread=1)
        contributions: Array = self._booster.predict(data, pred_contribs=True).astype(np.float64)
        return contributions[:, :-1]  # the last column is the average

    def save(self) -> Files:
        """The library's JSON form."""
        return {FILE: self._text}


@register
class XGBoost(Estimator[XGBoostSettings]):
    """Trees; equal to the last bit in every batch, after every refit, and read back from their JSON."""

    parameters = XGBoostSettings

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: XGBoostSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Train ``num_boost_round`` trees."""
        import xgboost

        del times
        counts = class_weighted(target, weights, parameters)
        library = _library(parameters, seed)
        if parameters.device == "cuda":
            _check_device(xgboost, library)
        data = xgboost.QuantileDMatrix(_single(rows), target, weight=counts, max_bin=parameters.max_bin, nthread=1)
        booster = xgboost.train(library, data, parameters.num_boost_round)
        if not booster.get_fscore():  # trees without a split are the noise of the rows drawn for them
            share = float(np.average(target, weights=counts))
            booster = xgboost.train(library | {"base_score": share}, data, 0)
        # What training leaves behind predicts on its device and with its threads: the saved model is what is asked.
        return self.load({FILE: bytes(booster.save_raw("json"))}, parameters=parameters, features=features)

    def load(self, files: Files, *, parameters: XGBoostSettings, features: Sequence[str]) -> Fitted:
        """Check the JSON's trees, then let the library read them."""
        del parameters
        try:
            text = files[FILE]
            checked, trained_on = xgboost_json.checked(text)
            booster = _read(checked)
        except KeyError:
            raise ModelError("the model has no such file", where=FILE, remedy="train it again") from None
        except ValueError as error:  # the library's own errors are among them
            what = str(error).partition("\n")[0]
            raise ModelError(f"not an XGBoost model: {what}", where=FILE, remedy="train it again") from None
        if trained_on != len(features):
            raise ModelError(
                f"the model was trained on {trained_on} features, not on {len(features)}",
                where=FILE,
                remedy="train it again",
            )
        return Trees(booster, text)


def _read(checked: bytes) -> Any:
    import xgboost

    booster = xgboost.Booster({"nthread": 1, "device": "cpu"})
    booster.load_model(bytearray(checked))
    return booster


def _single(rows: Array) -> npt.NDArray[np.float32]:
    return np.clip(rows, -_LARGEST, _LARGEST).astype(np.float32)


def _library(settings: XGBoostSettings, seed: int) -> dict[str, Any]:
    chosen = settings.model_dump(exclude={"kind", "seed", "num_boost_round", "class_weight"})
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "grow_policy": "lossguide",  # leaves are counted, not levels
        "max_depth": 0,
        "nthread": 1,
        "verbosity": 0,
        **chosen,
        "seed": seed,
    }


def _check_device(xgboost: Any, library: dict[str, Any]) -> None:
    """Where it finds no device, the library would train on the CPU and say so in its log alone."""
    tiny = xgboost.DMatrix(np.zeros((2, 1), np.float32), np.array([0.0, 1.0]), nthread=1)
    used = json.loads(xgboost.train(library, tiny, 1).save_config())["learner"]["generic_param"]["device"]
    if not used.startswith("cuda"):
        raise ModelError(
            f"no CUDA device is there for XGBoost, which would train on {used}",
            where="estimator xgboost: device",
            remedy="write device: cpu, or install the package xgboost instead of xgboost-cpu on a machine with a GPU",
        )
