"""Where one outcome is rare, `balanced` lets both count the same, and probabilities are no longer shares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from trading_assets.models.estimators import Estimator, installed, registered
from trading_assets.models.estimators.class_weights import class_weighted
from trading_assets.models.estimators.proof_case import ROWS, Case
from trading_assets.settings import LightGBMSettings
from trading_assets.settings.sections.estimators import ClassWeighted

DECLARED = ClassWeighted.model_fields["class_weight"].description
KINDS = sorted(
    kind
    for kind, one in installed().items()
    if issubclass(one.parameters, ClassWeighted) and one.parameters.model_fields["class_weight"].description == DECLARED
)
"""Others say what else they do."""


@pytest.fixture(params=KINDS)
def estimator(request: pytest.FixtureRequest) -> Estimator[Any]:
    return registered()[request.param]


class Rare(Case):
    """Nine in ten hits are misses here."""

    @property
    def target(self) -> np.ndarray:  # type: ignore[override]
        return super().target * (np.random.default_rng(5).random(ROWS) < 0.1)


def test_balanced_probabilities_are_of_a_market_where_both_are_equally_frequent(
    estimator: Estimator[Any],
) -> None:
    plain = Rare(estimator, estimator.parameters())
    balanced = Rare(estimator, estimator.parameters(class_weight="balanced"))
    share = plain.target.mean()
    assert plain.fitted.predict_proba(plain.rows).mean() == pytest.approx(share, abs=0.01), "probabilities stay those"
    answers = balanced.fitted.predict_proba(plain.rows)
    there = (answers[plain.target == 1].mean() + answers[plain.target == 0].mean()) / 2
    assert there == pytest.approx(0.5, abs=0.02)
    assert answers.mean() > 2 * share


def test_what_a_row_counts_otherwise_still_counts() -> None:
    target, weights = np.array([1.0, 0, 0, 0]), np.array([2.0, 1, 0.5, 0.5])
    balanced = class_weighted(target, weights, LightGBMSettings(class_weight="balanced"))
    assert balanced is not None
    assert balanced.tolist() == [2.0, 1.0, 0.5, 0.5]
    assert class_weighted(target, None, LightGBMSettings()) is None
    counted = class_weighted(target, None, LightGBMSettings(class_weight="balanced"))
    assert counted is not None
    assert counted == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])


def test_without_class_weights_a_configuration_is_the_one_that_it_always_was(estimator: Estimator[Any]) -> None:
    assert "class_weight" not in estimator.parameters().model_dump(mode="json")
    said = estimator.parameters(class_weight="balanced").model_dump(mode="json")
    assert said["class_weight"] == "balanced"
    assert estimator.parameters.model_validate(said).class_weight == "balanced"


def test_fits_side_by_side_are_the_fits_one_after_another(estimator: Estimator[Any]) -> None:
    case = Case(estimator, estimator.parameters())
    alone = case.fitted.save()
    with ThreadPoolExecutor(4) as pool:
        assert all(fitted.save() == alone for fitted in pool.map(case.fit, [case.rows] * 4))
        answers = list(pool.map(case.fitted.predict_proba, [case.unseen] * 8))
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
