"""`trading models compare`: two versions, the days that both have, and an interval on the difference."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest

from tests.lifecycle.shelf import BEGIN, DAYS, MODEL, Shelf, record
from trading_assets.core.errors import ModelError
from trading_assets.lifecycle import SideBySide, named_version, side_by_side


def compared(shelf: Shelf, first: str, second: str) -> SideBySide:
    return side_by_side(shelf.store, named_version(shelf.store, first), named_version(shelf.store, second))


def test_the_difference_is_that_of_the_common_days(shelf: Shelf) -> None:
    shelf.approve(edge=0.5)
    shelf.approve(edge=0.0, begin=BEGIN + timedelta(days=20))
    found = compared(shelf, "syna@1", "syna@2")
    assert (found.days, found.begin) == (DAYS - 20, BEGIN + timedelta(days=20))
    mean = found.found["mean_return"]
    assert mean.first == pytest.approx(record(0.5, 1)[20:].mean())
    assert mean.interval.estimate == pytest.approx(record(0.5, 1)[20:].mean() - record(0.0, 2)[:-20].mean())
    told = json.loads(json.dumps(found.as_json()))
    assert told["metrics"]["sharpe"] == {"syna@1": 2.0, "syna@2": 3.0}
    assert told["difference"]["sharpe"]["interval"]["confidence"] == 0.95
    assert told["notes"] == []


def test_a_model_alone_is_the_version_that_trades_else_the_newest(shelf: Shelf) -> None:
    shelf.approve()
    shelf.approve()
    assert named_version(shelf.store, MODEL).version == 2
    shelf.registry.promote(MODEL, 1)
    shelf.registry.write_to(shelf.store)
    assert str(named_version(shelf.store, MODEL)) == "syna@1"


def test_what_the_figures_do_not_say_is_said(shelf: Shelf) -> None:
    shelf.approve()
    shelf.approve(under="other costs", days=9)
    found = compared(shelf, "syna@1", "syna@2")
    assert found.found == {}
    assert "traded under other costs, capital or limits" in found.notes[0]
    assert found.notes[1] == "9 common days are too few for an interval, 10 are needed"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sybil", "no version of 'sybil' is registered"),
        ("syna@7", "model syna: no version '7'; its versions are 1; write syna@<version>"),
        ("syna@x", "model syna: no version 'x'"),
    ],
)
def test_a_name_that_means_nothing_is_explained(shelf: Shelf, name: str, said: str) -> None:
    shelf.approve()
    with pytest.raises(ModelError, match=said):
        named_version(shelf.store, name)


def test_the_same_version_twice_differs_by_nothing(shelf: Shelf) -> None:
    shelf.approve(edge=0.2)
    found = compared(shelf, "syna@1", "syna@1").found["sharpe"]
    assert np.isclose([found.interval.low, found.interval.high, found.better], [0, 0, 0.5]).all()
