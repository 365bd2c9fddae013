"""LightGBM: gradient boosted trees, in its deterministic mode, saved in its text form.

G. Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", *Advances in Neural Information Processing
Systems* 30, 2017. Its own SHAP values are exact for trees: S. Lundberg et al., "From local explanations to global
understanding with explainable AI for trees", *Nature Machine Intelligence* 2, 2020.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.class_weights import class_weighted
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted, Replaced
from trading_assets.models.estimators.registry import register
from trading_assets.models.estimators.trees import lightgbm_text
from trading_assets.models.estimators.trees.forest import Forest
from trading_assets.models.estimators.trees.lightgbm_forest import forest_of
from trading_assets.settings import LightGBMSettings

FILE: Final = "model.txt"

BIN_SAMPLE: Final = 20_000
"""Rows that the steps of a feature are chosen on: hundreds for each step, and a tenth of LightGBM's default."""


class Trees(Fitted):
    """A LightGBM model.

    Parameters
    ----------
    booster
        The library's model.
    text
        The same in the library's text form.
    """

    def __init__(self, booster: Any, text: str) -> None:
        self._booster = booster
        self._text = text

    def predict_proba(self, rows: Array) -> Array:
        """The mean answer of the trees; a missing value takes the branch that training chose for it."""
        # One thread: more only add start-up time to a single row, and nothing to the arithmetic.
        predicted: Array = self._booster.predict(rows, num_threads=1)
        return predicted

    def contributions(self, rows: Array) -> Array:
        """Exact SHAP values, as the library computes them."""
        contributions: Array = self._booster.predict(rows, num_threads=1, pred_contrib=True)
        return contributions[:, :-1]  # the last column is the average

    def replacing(self, rows: Array) -> Replaced:
        """By the trees as arrays, where these say of the rows what the library says, to the last bit: much faster."""
        trees = self._as_arrays
        if trees is None or not np.array_equal(trees.predict_proba(rows), self.predict_proba(rows)):
            return super().replacing(rows)
        return trees.replacing(rows)

    @cached_property
    def _as_arrays(self) -> Forest | None:
        return forest_of(self._text, int(self._booster.num_feature()))

    def save(self) -> Files:
        """The library's text form."""
        return {FILE: self._text.encode()}


@register
class LightGBM(Estimator[LightGBMSettings]):
    """Trees; equal to the last bit in every batch, after every refit, and read back from their text."""

    parameters = LightGBMSettings

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: LightGBMSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Train ``num_boost_round`` trees."""
        import lightgbm

        del times
        counts = class_weighted(target, weights, parameters)
        data = lightgbm.Dataset(rows, target, weight=counts, feature_name=list(features))
        booster = lightgbm.train(_library(parameters, seed), data, num_boost_round=parameters.num_boost_round)
        return Trees(booster, booster.model_to_string())

    def load(self, files: Files, *, parameters: LightGBMSettings, features: Sequence[str]) -> Fitted:
        """Check that the text is of trees, then let the library read it.

        What else is malformed may end the process: :meth:`trial` reads it elsewhere first.
        """
        del parameters
        if FILE not in files:
            raise ModelError("the model has no such file", where=FILE, remedy="train it again")
        try:
            text = files[FILE].decode()
            wrong = lightgbm_text.problem(text, lightgbm_text.trained_on(text) or len(features))
        except UnicodeDecodeError as error:
            wrong = str(error)
        if wrong is not None:
            raise ModelError(f"not a LightGBM model: {wrong}", where=FILE, remedy="train it again")
        booster = _read(text)
        if booster.num_feature() != len(features):
            raise ModelError(
                f"the model was trained on {booster.num_feature()} features, not on {len(features)}",
                where=FILE,
                remedy="train it again",
            )
        return Trees(booster, text)

    def trial(self, folder: Path, parameters: LightGBMSettings, features: Sequence[str]) -> Sequence[str]:
        """Reads the trees without the Python package, which takes a second to import."""
        del parameters
        library, script = _shared_library(), lightgbm_text.__file__
        return [sys.executable, "-I", script, library, str(folder / FILE), str(len(features))]


_alone = False


def import_alone() -> None:
    """Import the library without scikit-learn and pandas when it is needed to read a model, in this process.

    It has classes for the one and takes frames of the other, of which nothing here is used, and they are most of what
    its import costs: a second until a node that starts again protects what is open. Not for a process in which code of
    a user's may want those classes.
    """
    global _alone
    _alone = True


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Let modules that are not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: how Python says that there is none
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _read(text: str) -> Any:
    with _without("sklearn", "pandas") if _alone else nullcontext():
        from lightgbm import Booster
        from lightgbm.basic import LightGBMError

    try:
        return Booster(model_str=text)
    except (LightGBMError, ValueError, RecursionError) as error:  # it reads a line of JSON too
        raise ModelError(f"not a LightGBM model: {error}", where=FILE, remedy="train it again") from None


def _library(settings: LightGBMSettings, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "deterministic": True,
        "force_col_wise": True,  # without a choice LightGBM times both at run time
        "enable_bundle": False,  # with few leaves neither bundles nor sparse columns pay: 1.4 times slower, equal model
        "is_enable_sparse": False,
        "bin_construct_sample_cnt": BIN_SAMPLE,
        "num_threads": 1,
        "bagging_freq": 1,
        "verbosity": -1,
        **settings.model_dump(exclude={"kind", "seed", "num_boost_round", "class_weight"}),
        "seed": seed,
    }


@cache
def _shared_library() -> str:
    spec = find_spec("lightgbm")
    assert spec is not None
    assert spec.origin is not None
    found = sorted(Path(spec.origin).parent.glob("lib/lib_lightgbm.*")) or sorted(
        Path(spec.origin).parent.glob("**/lib_lightgbm.*")
    )
    return str(found[0])
