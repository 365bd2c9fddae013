"""The report of a search: what decides, where the best lies, and how luck grows with trials."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.search.toys import builder, found_in, history, project
from trading_assets.registry import Tried
from trading_assets.search import Found
from trading_assets.search.fragment import fragment
from trading_assets.search.judging import Judged, deflated_by_trials
from trading_assets.search.report import importance_of, render
from trading_assets.settings import Range
from trading_assets.settings.sections.ranges import place

AT = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return found_in(project(tmp_path_factory.mktemp("search"), trials=40, prune=False), history())


def test_what_decides_is_the_setting_that_was_planted(found: Found) -> None:
    weights = importance_of(found.trials)
    assert next(iter(weights)) == "rule.fast"
    assert weights["rule.fast"] > 0.6
    assert importance_of(found.trials[:5]) == {}, "of five trials nothing is claimed"


def page(found: Found, judged: Judged, folder: Path) -> str:
    settings = project(folder)
    file = render(found, judged, fragment(found), settings, created_at=AT, file=folder / "search-1.html")
    return file.read_text()


def test_the_page_shows_what_was_found_and_holds_all_that_it_shows(found: Found, tmp_path: Path) -> None:
    curve = deflated_by_trials(np.tile([0.01, -0.004], 60), Tried(40, tuple(np.linspace(-1, 3, 20))))
    told = page(found, Judged(None, None, None, (), curve, "the rule wants no trade"), tmp_path)
    assert told.count("data:image/svg+xml;base64") == 4
    assert "SYNTHETIC" in told
    assert "the rule wants no trade" in told
    assert "tested_from: 2025" in told
    assert "rule.fast" in told
    assert not re.search(r"<script|src=\"http|href=", told)


def test_a_search_of_a_trial_has_a_page_too(tmp_path: Path) -> None:
    single = found_in(project(tmp_path, trials=1), history())
    told = page(single, Judged(None, None, None, (), (), "nothing"), tmp_path)
    assert told.count("data:image/svg+xml;base64") == 1


def test_the_deflated_sharpe_ratio_falls_with_the_number_of_trials() -> None:
    rng = np.random.default_rng(5)
    returns = 0.003 + 0.02 * np.tile([1.0, -1.0, 0.5, -0.5, 0.0], 30)
    curve = deflated_by_trials(returns, Tried(101, tuple(rng.normal(1, 1, 60))))
    counts, ratios = zip(*curve, strict=True)
    assert (counts[0], counts[-1]) == (1, 101)
    assert ratios[0] > 0.95 > ratios[-1]
    assert max(np.diff(ratios[5:])) < 0.05
    assert deflated_by_trials(returns, Tried(0, ())) == []


def test_a_value_lies_where_it_was_drawn_from() -> None:
    assert place(Range(low=1, high=100, log=True), 10) == pytest.approx(0.5)
    assert place(Range(low=0, high=10), 12) == 1
    assert place(("a", "b"), "b") == pytest.approx(0.75)


def test_a_data_set_is_made_of_each_variant(found: Found) -> None:
    assert builder(history())(found.after).frame["wanted"].sum() > 0
