"""Asking about one column replaced is asking about the rows with it replaced, to the last bit."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.models.estimators.test_forest import FEATURES, grown, rows_of
from trading_assets.models.estimators.contract import Array, Fitted
from trading_assets.models.estimators.trees.lightgbm import Trees
from trading_assets.models.estimators.trees.lightgbm_forest import forest_of


def assert_the_same(fitted: Fitted, rows: Array, seed: int) -> None:
    rng, before = np.random.default_rng(seed), rows.copy()
    ask, usual = fitted.replacing(rows), Fitted.replacing(fitted, rows)
    for column in [*range(rows.shape[1]), 0]:
        other = rng.permutation(rows[:, column])
        assert np.array_equal(ask(column, other), usual(column, other))
    assert np.array_equal(rows, before, equal_nan=True), "what was asked about stays as it is"


@given(st.integers(0, 1 << 20), st.integers(1, 30), st.integers(0, 8), st.sampled_from([1, 2, 3, 200]))
@examples(40)
def test_a_forest_asks_anew_only_the_trees_that_read_the_column(seed: int, trees: int, splits: int, rows: int) -> None:
    assert_the_same(grown(seed, trees, splits), rows_of(seed + 1, rows), seed)


def trained(seed: int, *, gaps: bool, **settings: object) -> lightgbm.Booster:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(600, FEATURES)).round(2)
    if gaps:
        rows[rng.random(rows.shape) < 0.1] = np.nan
    target = (np.nan_to_num(rows[:, 0]) + rng.normal(size=len(rows)) > 0).astype(int)
    wanted = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, **settings}
    return lightgbm.train(wanted, lightgbm.Dataset(rows, target), 40)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("leaves", [2, 4, 31])
def test_trees_of_lightgbm_as_arrays_answer_as_the_library_does(leaves: int, gaps: bool) -> None:
    booster = trained(leaves, gaps=gaps, num_leaves=leaves)
    text = booster.model_to_string()
    read = lightgbm.Booster(model_str=text)
    forest, rows = forest_of(text, FEATURES), np.ascontiguousarray(rows_of(5, 300).round(2))
    assert forest is not None
    assert np.array_equal(forest.predict_proba(rows), read.predict(rows))
    assert_the_same(Trees(read, text), rows, leaves)


@pytest.mark.parametrize(
    "settings", [{"zero_as_missing": True}, {"linear_tree": True}, {"objective": "cross_entropy"}, {"sigmoid": 2.0}]
)
def test_trees_of_another_arithmetic_are_left_to_the_library(settings: dict[str, object]) -> None:
    booster = trained(1, gaps=False, **settings)
    text = booster.model_to_string()
    assert forest_of(text, FEATURES) is None
    assert_the_same(Trees(booster, text), np.ascontiguousarray(rows_of(6, 50)), 1)
