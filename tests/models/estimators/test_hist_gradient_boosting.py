"""Scikit-learn's boosting: its trees, written down, answer as the library does, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from trading_assets.models.estimators import Fitted, registered
from trading_assets.models.estimators.proof_case import times
from trading_assets.settings import HistGradientBoostingSettings

SMALL = HistGradientBoostingSettings(max_iter=30, learning_rate=0.3, max_leaf_nodes=8, min_samples_leaf=20)


def fit(rows: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None, chosen: Any = SMALL) -> Fitted:
    given: dict[str, Any] = {"times": times(len(rows)), "parameters": chosen, "seed": 3}
    names = [f"f{number}" for number in range(rows.shape[1])]
    return registered()["hist_gradient_boosting"].fit(rows, target, weights, features=names, **given)


def drawn(seed: int, count: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    """Columns that are continuous, of few values, huge, and with values missing; the odds follow them all."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 5))
    odds = rows.sum(axis=1) + 2 * (rows[:, 4] > 1)
    rows[:, 1] = np.round(rows[:, 1])
    rows[:, 2] *= 1e290
    rows[rng.random(count) < 0.2, 3] = np.nan
    rows[rows[:, 4] > 1, 4] = np.nan
    return rows, (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(float)


@pytest.mark.parametrize("seed", range(4))
def test_it_answers_as_the_library_does_to_the_last_bit(seed: int) -> None:
    rows, target = drawn(seed)
    own = HistGradientBoostingClassifier(
        early_stopping=False, random_state=3, **SMALL.model_dump(exclude={"kind", "seed", "class_weight"})
    ).fit(rows, target)
    unseen = drawn(seed + 100)[0]
    assert np.array_equal(fit(rows, target).predict_proba(unseen), own.predict_proba(unseen)[:, 1])


def test_one_split_gives_the_answer_worked_out_by_hand() -> None:
    rows = np.repeat([[0.0], [1.0]], 500, axis=0)
    target = np.concatenate([np.tile([0.0] * 4 + [1.0], 100), np.tile([0.0, 1.0], 250)])
    chosen = HistGradientBoostingSettings(max_iter=1, learning_rate=0.5, max_features=1, l2_regularization=10)
    low, middle, high = fit(rows, target, None, chosen).predict_proba(np.array([[0.0], [0.5], [1.0]]))
    share = 0.35
    step = 0.5 * 500 * 0.15 / (500 * share * (1 - share) + 10)
    for answer, sign in ((low, -1), (middle, -1), (high, 1)):
        assert answer == pytest.approx(1 / (1 + np.exp(-(np.log(share / (1 - share)) + sign * step))), abs=1e-6)


def test_a_column_of_one_value_that_is_sometimes_missing_tells_rows_apart() -> None:
    missing = np.tile([True, False, False], 400)
    rows = np.where(missing, np.nan, 5.0)[:, np.newaxis]
    target = np.where(missing, np.tile([1.0, 0, 0], 400), np.random.default_rng(1).random(1_200) < 0.2).astype(float)
    there, not_there, otherwise = fit(rows, target).predict_proba(np.array([[5.0], [np.nan], [1e300]]))
    assert there == otherwise == pytest.approx(0.2, abs=0.05)
    assert not_there > 0.9


def test_rows_that_count_nothing_change_nothing() -> None:
    rows, target = drawn(1)
    counts = np.random.default_rng(2).random(len(rows))
    weights = np.concatenate([np.zeros(300), counts])
    more = np.concatenate([np.full((300, 5), 7.0), rows]), np.concatenate([np.ones(300), target])
    assert fit(*more, weights).save() == fit(rows, target, counts).save()
