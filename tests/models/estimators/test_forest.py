"""Trees as arrays: what they answer and why, worked out in another way; and what are no trees is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.trees.forest import LEAF, Forest

FEATURES = 4
NAMES = ("a", "b", "c", "d")


def grown(seed: int, trees: int, splits: int) -> Forest:
    """Random trees: each split opens a random leaf."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("roots", "feature", "threshold", "missing", "value", "cover")
    }
    left, right = [], []

    def add(cover: float) -> int:
        for name, value in (("feature", 0), ("threshold", 0.0), ("missing", False), ("value", rng.normal())):
            columns[name].append(value)
        columns["cover"].append(cover)
        left.append(LEAF)
        right.append(LEAF)
        return len(left) - 1

    for _ in range(trees):
        leaves = [add(float(rng.integers(50, 100)))]
        columns["roots"].append(leaves[0])
        for _ in range(splits):
            node = leaves.pop(rng.integers(len(leaves)))
            part = columns["cover"][node] * rng.uniform(0.1, 0.9)
            columns["feature"][node], columns["threshold"][node] = int(rng.integers(FEATURES)), float(rng.normal())
            columns["missing"][node], columns["value"][node] = bool(rng.integers(2)), 0.0
            left[node], right[node] = add(part), add(columns["cover"][node] - part)
            leaves += [left[node], right[node]]
    return Forest(
        "trees.json",
        FEATURES,
        float(rng.normal()),
        np.array(columns["roots"], np.intp),
        np.array(columns["feature"], np.intp),
        np.array(columns["threshold"]),
        np.array(columns["missing"], bool),
        np.array(left, np.intp),
        np.array(right, np.intp),
        np.array(columns["value"]),
        np.array(columns["cover"]),
    )


def rows_of(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, FEATURES))
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


def usual(forest: Forest, row: np.ndarray, told: frozenset[int]) -> float:
    """The mean answer where only some features are told, node by node."""

    def below(node: int) -> float:
        branches = int(forest.left[node]), int(forest.right[node])
        if branches[0] == LEAF:
            return float(forest.value[node])
        feature = int(forest.feature[node])
        if feature in told:
            missing = np.isnan(row[feature])
            left = forest.missing_left[node] if missing else row[feature] <= forest.threshold[node]
            return below(branches[0] if left else branches[1])
        return sum(float(forest.cover[one] / forest.cover[node]) * below(one) for one in branches)

    return forest.base + sum(below(int(root)) for root in forest.roots)


@examples(30)
@given(seed=st.integers(0, 10**6), trees=st.integers(0, 4), splits=st.integers(0, 7))
def test_answers_and_shap_values_are_those_of_their_definition(seed: int, trees: int, splits: int) -> None:
    forest, rows = grown(seed, trees, splits), rows_of(seed, 5)
    told = forest.contributions(rows)
    every = frozenset(range(FEATURES))
    for row, odds, said in zip(rows, forest.odds(rows), told, strict=True):
        assert odds == pytest.approx(usual(forest, row, every), abs=1e-12)
        known = cache(lambda some, row=row: usual(forest, row, some))  # type: ignore[misc]
        for feature in every:
            value = 0.0
            for size in range(FEATURES):
                weight = factorial(size) * factorial(FEATURES - 1 - size) / factorial(FEATURES)
                for some in combinations(every - {feature}, size):
                    value += weight * (known(frozenset(some) | {feature}) - known(frozenset(some)))
            assert said[feature] == pytest.approx(value, abs=1e-10)


@examples(30)
@given(seed=st.integers(0, 10**6), trees=st.integers(0, 300), splits=st.integers(0, 5))
def test_a_row_gets_the_same_bits_alone_and_among_others_and_read_back(seed: int, trees: int, splits: int) -> None:
    forest, rows = grown(seed, trees, splits), rows_of(seed, 700)
    whole = forest.predict_proba(rows)
    assert all(forest.predict_proba(rows[place : place + 1])[0] == whole[place] for place in (0, 1, 333, 699))
    again = Forest.read("trees.json", forest.save(), NAMES)
    assert np.array_equal(again.predict_proba(rows), whole)
    assert np.array_equal(again.contributions(rows[:9]), forest.contributions(rows[:9]))
    assert again.save() == forest.save()


SAVED = grown(1, 3, 4).save()["trees.json"]
BROKEN: dict[str, tuple[Callable[[Any], object], str]] = {
    "a loop": (lambda model: model["left"].__setitem__(1, 0), "leads up"),
    "into another tree": (lambda model: model["left"].__setitem__(0, 10), "into another tree"),
    "a branch named twice": (lambda model: model["left"].__setitem__(0, model["right"][0]), "rows of a node"),
    "half a leaf": (lambda model: model["left"].__setitem__(0, -1), "leads up"),
    "a feature beyond": (lambda model: model["feature"].__setitem__(0, 4), "beyond its 4"),
    "a feature before": (lambda model: model["feature"].__setitem__(0, -1), "beyond its 4"),
    "a short column": (lambda model: model["cover"].pop(), "differ in length"),
    "no rows": (lambda model: model["cover"].__setitem__(0, 1e9), "the rows of a node"),
    "roots in another order": (lambda model: model["roots"].reverse(), "its roots are not"),
    "a root beyond": (lambda model: model["roots"].append(10**6), "its roots are not"),
    "no number": (lambda model: model["value"].__setitem__(0, float("nan")), "value"),
    "a text": (lambda model: model["value"].__setitem__(0, "0"), "value.0"),
    "a number that is not whole": (lambda model: model["left"].__setitem__(0, 1.5), "left.0"),
    "more": (lambda model: model.update(more=1), "more"),
    "another number of features": (lambda model: model.update(features=5), "5 features, not on 4"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_are_no_trees_is_refused(how: str) -> None:
    change, said = BROKEN[how]
    model = json.loads(SAVED)
    change(model)
    with pytest.raises(ModelError, match=re.escape(said)):
        Forest.read("trees.json", {"trees.json": json.dumps(model).encode()}, NAMES)


@examples(60)
@given(content=st.binary(max_size=60), begin=st.floats(0, 1), length=st.integers(0, 60))
def test_no_change_of_a_file_does_more_than_be_refused_or_predict(content: bytes, begin: float, length: int) -> None:
    place = int(begin * len(SAVED))
    spoilt = SAVED[:place] + content + SAVED[place + length :]
    try:
        forest = Forest.read("trees.json", {"trees.json": spoilt}, NAMES)
    except ModelError as error:
        assert "trees.json" in str(error)  # noqa: PT017
    else:
        answers = forest.predict_proba(rows_of(1, 4))
        assert ((answers >= 0) & (answers <= 1)).all()
