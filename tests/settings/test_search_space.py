"""What a search tries: by default, as the settings narrow it, and refused where a model has no such setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field

from trading_assets.core.errors import SettingsError
from trading_assets.settings import Range, Settings, load_settings
from trading_assets.settings.demand import label_sets_of, timeframes_of
from trading_assets.settings.sections.estimators import ESTIMATORS, EstimatorSettings
from trading_assets.settings.sections.ranges import fits, searched_by_default
from trading_assets.settings.sections.rules import RULES
from trading_assets.settings.sections.section import Fraction, Positive
from trading_assets.settings.sections.space import applied, field_of, present, searchable, space_of

PROJECT = Path(__file__).parents[2] / "trading.yaml"
SYNA = "sample:SYNA/USDT:USDT"


def read(folder: Path, changes: dict[str, Any]) -> Settings:
    values = yaml.safe_load(PROJECT.read_text())
    file = folder / "trading.yaml"
    file.write_text(yaml.safe_dump(values | changes))
    return load_settings(file)


def test_a_kind_that_declares_nothing_is_searched_around_what_it_is_set_to() -> None:
    class Toy(EstimatorSettings):
        kind: str = "toy"
        depth: int = Field(6, ge=1, le=8)
        rate: Positive = 0.3
        share: Fraction = 0.8
        sturdy: bool = False
        offset: float = 0.0
        name: str = "x"

    assert searched_by_default(None, Toy()) == {
        "depth": Range(low=2, high=8, log=True),
        "rate": Range(low=0.3 / 3, high=0.3 * 3, log=True),
        "share": Range(low=0.8 / 3, high=1.0, log=True),
        "sturdy": (False, True),
    }


SECTIONS = [*ESTIMATORS.sections.values(), *RULES.sections.values()]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.__name__)
def test_what_a_kind_declares_are_settings_that_it_has_and_values_that_they_may_be(section: Any) -> None:
    for name, searched in (section.search or {}).items():
        assert fits(section.model_fields[name], searched) is None, name


def test_the_settings_narrow_a_range_add_a_setting_and_leave_one_as_it_is(tmp_path: Path) -> None:
    asked = {
        "estimator.num_leaves": {"low": 2, "high": 8},
        "estimator.lambda_l2": None,
        "threshold": [None, 0.55],
        "walk_forward.train_days": {"low": 30, "high": 60},
    }
    settings = read(tmp_path, {"search": {"space": {"syna": asked}}})
    found = space_of(settings.models["syna"], settings.search.of("syna"))
    assert found["estimator.num_leaves"] == Range(low=2, high=8)
    assert found["threshold"] == (None, 0.55)
    assert found["walk_forward.train_days"] == Range(low=30, high=60)
    assert "estimator.lambda_l2" not in found
    assert "estimator.learning_rate" in found
    assert present(settings.models["syna"], found)["estimator.num_leaves"] == 4


def test_values_are_put_into_the_model_and_its_sections(settings: Settings) -> None:
    spec = settings.models["syna"]
    values = {"estimator.num_leaves": 7, "min_edge_bps": 3.5, "walk_forward.train_days": 45.0, "label": "swing"}
    changed = applied(spec, values)
    assert present(changed, dict.fromkeys(values, (1,))) == values
    assert applied(changed, present(spec, dict.fromkeys(values, (1,)))) == spec
    assert {field_of(spec, name) is not None for name in searchable(spec)} == {True}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"nobody": {}}, "search.space: no model 'nobody'"),
        ({"syna": {"estimator.leaves": [1]}}, "no setting 'estimator.leaves' of this model is searched"),
        ({"syna": {"estimator.seed": [1, 2]}}, "no setting 'estimator.seed'"),
        ({"syna": {"estimator.num_leaves": {"low": 1, "high": 9}}}, "estimator.num_leaves cannot be 1"),
        ({"syna": {"estimator.num_leaves": {"low": 9, "high": 2}}}, "low 9 must be below high 2"),
        ({"syna": {"min_edge_bps": {"low": 0, "high": 2, "log": True}}}, "must be above 0 where log is set"),
        ({"syna": {"min_edge_bps": []}}, "no choice"),
        ({"syna": {"min_edge_bps": [1, 1]}}, "a choice is there twice"),
        ({"syna": {"label": ["swing", "scalp"]}}, "no label set 'scalp'"),
        ({"syna": {"label": {"low": 1, "high": 2}}}, "label is one of a list of names, not a range"),
        ({"syna": {"rule.fast": [1, 2]}}, "no setting 'rule.fast'"),
    ],
)
def test_a_space_that_no_model_can_have_is_refused_by_name(tmp_path: Path, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, {"search": {"space": asked}})
    assert told in str(caught.value)


def test_label_sets_that_a_search_tries_are_computed_for_its_markets_and_must_fit_them(tmp_path: Path) -> None:
    labels = {"swing": {"timeframe": "15m"}, "slow": {"timeframe": "1h"}}
    settings = read(tmp_path, {"labels": labels, "search": {"space": {"syna": {"label": ["swing", "slow"]}}}})
    assert set(label_sets_of(settings, SYNA)) == {"swing", "slow"}
    assert [one.name for one in timeframes_of(settings, SYNA)] == ["15m", "1h"]
    assert set(label_sets_of(settings, "sample:SYNB/USDT:USDT")) == {"swing"}
