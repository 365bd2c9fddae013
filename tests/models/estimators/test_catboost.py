"""CatBoost, where it is installed: its trees, written down, answer as the library does. Elsewhere it is refused."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import ModelError
from trading_assets.models.estimators import registered
from trading_assets.models.estimators.proof_case import Case
from trading_assets.models.estimators.trees.catboost import _threshold
from trading_assets.settings import CatBoostSettings
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_assets.settings.sections.kinds import TRAINED
from trading_assets.settings.sections.section import Misfit

SMALL = CatBoostSettings(iterations=30, learning_rate=0.3, depth=3, l2_leaf_reg=3)
there = pytest.mark.skipif(find_spec("catboost") is None, reason="catboost is not installed (the extra catboost)")


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(registered()["catboost"], SMALL)


@pytest.fixture(scope="module")
def own(case: Case) -> Any:
    import catboost

    chosen = SMALL.model_dump(exclude={"kind", "seed", "class_weight", "device"})
    model = catboost.CatBoostClassifier(
        random_seed=SMALL.seed,
        bootstrap_type="Bernoulli",
        boosting_type="Plain",
        boost_from_average=True,
        thread_count=2,
        allow_writing_files=False,
        **chosen,
    )
    return model.fit(case.rows, case.target, verbose=False)


@there
def test_it_answers_as_the_library_does(case: Case, own: Any) -> None:
    rows = np.concatenate([case.unseen, np.full((1, 6), np.nan), case.unseen[:50] * 1e6])
    assert np.abs(case.fitted.predict_proba(rows) - own.predict_proba(rows)[:, 1]).max() < 1e-14


@there
def test_its_shap_values_are_those_of_the_library(case: Case, own: Any) -> None:
    import catboost

    told = own.get_feature_importance(catboost.Pool(case.unseen), type="ShapValues")
    assert np.abs(case.fitted.contributions(case.unseen) - told[:, :-1]).max() < 1e-10


@there
def test_a_device_that_is_not_there_is_refused(case: Case) -> None:
    cuda = Case(case.estimator, SMALL.model_copy(update={"device": "cuda"}))
    with pytest.raises(ModelError, match=r"no CUDA device is there for CatBoost.*write device: cpu"):
        cuda.fit(case.rows)


@given(border=st.floats(width=32, allow_nan=False, allow_infinity=False, max_value=2.0**100), near=st.integers(-3, 3))
@examples(200)
def test_a_threshold_parts_numbers_as_rounding_to_single_precision_does(border: float, near: int) -> None:
    threshold = _threshold(border)
    above = float(np.nextafter(np.float32(border), np.float32(np.inf)))
    for begin in (threshold, border, above, (border + above) / 2):
        value = begin
        for _ in range(abs(near)):
            value = float(np.nextafter(value, np.inf * near))
        assert (value <= threshold) == (np.float32(value) <= np.float32(border))


def test_where_it_is_not_installed_settings_refuse_it_and_bundles_do_not(
    monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setattr("trading_assets.settings.sections.kinds.find_spec", lambda name: None)
    with pytest.raises(Misfit, match=r"catboost needs catboost, .*install it \(uv sync --inexact --extra catboost\)"):
        ESTIMATORS.read({"kind": "catboost"})
    assert ESTIMATORS.read({"kind": "catboost"}, {TRAINED: True}) == CatBoostSettings()
    with pytest.raises(ModelError, match=r"training needs catboost, which is not installed"):
        case.fit(case.rows)
