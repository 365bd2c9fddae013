"""XGBoost: what is the library's own is equal to it, and what the library would choke on is refused before."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators import registered
from trading_assets.models.estimators.proof_case import NAMES, Case
from trading_assets.models.estimators.trees.xgboost import FILE
from trading_assets.settings import XGBoostSettings

SMALL = XGBoostSettings(num_boost_round=20, learning_rate=0.3)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(registered()["xgboost"], SMALL)


def test_it_answers_as_the_library_does(case: Case) -> None:
    single = case.rows.astype(np.float32)
    parameters = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "nthread": 1,
        **SMALL.model_dump(exclude={"kind", "num_boost_round", "class_weight"}),
    }
    own = xgboost.train(parameters, xgboost.DMatrix(single, case.target), SMALL.num_boost_round)
    asked = xgboost.DMatrix(case.unseen)
    answers = case.fitted.predict_proba(case.unseen)
    odds = own.predict(asked, output_margin=True).astype(float)
    assert np.array_equal(answers, 1 / (1 + np.exp(-odds))), "of the same log-odds, to the last bit"
    assert np.abs(own.predict(asked) - answers).max() < 1e-7, "the library rounds probabilities to single precision"
    told = case.fitted.contributions(case.unseen)
    assert np.array_equal(told, own.predict(asked, pred_contribs=True)[:, :-1])


def test_one_split_gives_the_answer_worked_out_by_hand() -> None:
    """Two groups of rows: Newton's step from the share, of each leaf's residuals, times the learning rate."""
    rows = np.repeat([[0.0], [1.0]], 500, axis=0)
    target = np.concatenate([np.tile([0.0] * 4 + [1.0], 100), np.tile([0.0, 1.0], 250)])
    chosen = XGBoostSettings(
        num_boost_round=1, learning_rate=0.5, min_child_weight=1, reg_lambda=10, subsample=1, colsample_bytree=1
    )
    case = Case(registered()["xgboost"], chosen)
    given: dict[str, Any] = {"times": None, "parameters": chosen, "features": ("a",), "seed": 1}
    low, high = case.estimator.fit(rows, target, None, **given).predict_proba(np.array([[0.0], [1.0]]))
    share = 0.35
    step = 0.5 * 500 * 0.15 / (500 * share * (1 - share) + 10)
    for answer, sign in ((low, -1), (high, 1)):
        assert answer == pytest.approx(1 / (1 + np.exp(-(np.log(share / (1 - share)) + sign * step))), abs=1e-6)


Change = Callable[[Any], object]
BROKEN: dict[str, tuple[Change, str]] = {
    "a loop": (lambda model: tree(model)["left_children"].__setitem__(0, 0), "not one tree"),
    "a child that is none": (lambda model: tree(model)["right_children"].__setitem__(0, 10**6), "not one tree"),
    "a feature beyond": (lambda model: tree(model)["split_indices"].__setitem__(0, 6), "beyond its 6"),
    "a short column": (lambda model: tree(model)["default_left"].pop(), "other numbers of values"),
    "a tree less": (lambda model: model["learner"]["gradient_booster"]["model"]["trees"].pop(), "20 trees and has 19"),
    "another objective": (lambda model: model["learner"]["objective"].update(name="reg:tweedie"), "objective.name"),
    "other features": (
        lambda model: model["learner"]["learner_model_param"].update(num_feature="7"),
        "features than 7",
    ),
    "an entry that is unknown": (lambda model: model.update(more=1), "more: Extra inputs"),
}


def tree(model: Any) -> Any:
    return model["learner"]["gradient_booster"]["model"]["trees"][0]


@pytest.mark.parametrize("how", BROKEN)
def test_a_tree_that_would_lead_the_library_astray_is_refused(case: Case, how: str) -> None:
    model = json.loads(case.fitted.save()[FILE])
    change, said = BROKEN[how]
    changed = copy.deepcopy(model)
    change(changed)
    with pytest.raises(ModelError, match=re.escape(said)) as refused:
        case.load({FILE: json.dumps(changed).encode()})
    assert FILE in str(refused.value)
    case.load({FILE: json.dumps(model).encode()})


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"{" * 10_000])
def test_what_is_no_model_is_refused_in_this_process_too(case: Case, content: bytes) -> None:
    with pytest.raises(ModelError, match=f"{FILE}: not an XGBoost model"):
        case.load({FILE: content})


def test_a_model_of_other_features_is_refused(case: Case) -> None:
    with pytest.raises(ModelError, match="trained on 6 features, not on 5"):
        case.estimator.load(case.fitted.save(), parameters=SMALL, features=NAMES[:-1])


def test_a_device_that_is_not_there_is_refused(case: Case) -> None:
    cuda = Case(case.estimator, SMALL.model_copy(update={"device": "cuda"}))
    with pytest.raises(ModelError, match=r"no CUDA device is there for XGBoost.*write device: cpu"):
        cuda.fit(case.rows)
