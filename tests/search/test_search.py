"""A search finds what is planted, in the older part alone, and goes on after a stop as if there had been none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.search.toys import BEST, FAST, MARKET, builder, found_in, history, project, tried
from trading_assets.core.errors import ModelError, TradingError
from trading_assets.models import Dataset
from trading_assets.placebo.rearranging import MARKET as PLACEBO
from trading_assets.placebo.research import Research
from trading_assets.placebo.worlds import PLANTED, World
from trading_assets.registry.searches import open_searches, searched
from trading_assets.search import Step, look, search
from trading_assets.search.fragment import fragment
from trading_assets.search.material import Material, older
from trading_assets.settings import LogisticSettings, Settings, StrategySettings, WalkForwardSettings
from trading_assets.settings.sections.search import SearchSettings
from trading_assets.settings.sections.strategies import STRATEGIES
from trading_assets.validation import WalkForward


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return history()


def test_a_planted_optimum_is_found_and_holds_where_nobody_looked(tmp_path: Path, frame: pl.DataFrame) -> None:
    found = found_in(project(tmp_path, trials=40), frame)
    assert abs(found.best.params["rule.fast"] - BEST) <= 1
    assert found.best.value is not None
    assert found.best.value > 5
    assert found.trials[0].params["rule.fast"] == 12, "the first trial is the model as it is"
    assert any(one.state.name == "PRUNED" for one in found.trials)
    windows = found.after.walk_forward
    folds = WalkForward(windows).split(found.data.frame["known_at"], found.data.frame["label_end"])
    assert min(fold.test_start for fold in folds) == found.cut.split


@examples(3)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 10))
def test_nothing_after_the_split_tells_on_any_trial(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scale: float
) -> None:
    settings, frame, rng = project(tmp_path_factory.mktemp("p"), trials=8), history(), np.random.default_rng(seed)
    honest = found_in(settings, frame)
    later = pl.col("label_end") > honest.cut.known_by
    shuffled = frame.with_columns(
        suits=pl.when(later).then(pl.Series(rng.uniform(2, 25, frame.height))).otherwise("suits"),
        label=pl.when(later).then(-pl.col("label")).otherwise("label"),
        **{"return": pl.when(later).then(pl.col("return") * -scale).otherwise("return")},
    )
    other = found_in(settings, shuffled)
    assert tried(other) == tried(honest)
    assert other.changes == honest.changes
    assert not shuffled.equals(frame)


def test_what_a_trial_gets_ends_a_horizon_and_an_embargo_before_the_split(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings = project(tmp_path)
    found = found_in(settings.model_copy(update={"search": settings.search.model_copy(update={"trials": 1})}), frame)
    material = Material(builder(frame), settings.labels, found.cut.known_by)
    seen = material.of(found.before)
    assert seen.frame["label_end"].max() <= found.cut.known_by
    horizon = settings.labels["swing"].horizon
    assert seen.frame["known_at"].max() == found.cut.known_by - horizon, (
        "early outcomes of the newest rows are no choice"
    )
    assert (found.cut.split - found.cut.known_by).days == 1
    assert seen.end <= found.cut.known_by
    with pytest.raises(ModelError, match="no outcome was known by"):
        older(seen, frame["ts"][0], horizon)


def test_with_one_worker_the_same_seed_finds_the_same_and_another_one_tries_others(
    tmp_path: Path, frame: pl.DataFrame
) -> None:
    one, again = (found_in(project(tmp_path / name, trials=15), frame) for name in ("a", "b"))
    assert tried(one) == tried(again)
    other = found_in(project(tmp_path, trials=15, seed=8), frame)
    assert tried(one)[0] == tried(other)[0]
    assert tried(one)[1:] != tried(other)[1:]


def test_a_search_that_goes_on_tries_what_it_would_have_tried(tmp_path: Path, frame: pl.DataFrame) -> None:
    whole = found_in(project(tmp_path, trials=16), frame)
    for trials in (3, 9, 16):
        settings = project(tmp_path / "parts", trials=trials)
        parts = search(settings, "toy", builder(frame))
        assert len(parts.trials) == trials
    assert tried(parts) == tried(whole)
    assert parts.changes == whole.changes
    assert search(settings, "toy", builder(frame)).trials[-1].number == 15, "the budget counts those of earlier runs"


def interrupted(frame: pl.DataFrame, at: int) -> Callable[[StrategySettings], Dataset]:
    """Stops, as Ctrl-C does, when it is asked for a data set for so many times."""
    build, asked = builder(frame), 0

    def stop(spec: StrategySettings) -> Dataset:
        nonlocal asked
        asked += 1
        if asked == at:
            raise KeyboardInterrupt
        return build(spec)

    return stop


def test_a_trial_that_was_stopped_is_tried_again_and_counts_once(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings = project(tmp_path, trials=10)
    whole = found_in(settings, frame)
    with pytest.raises(KeyboardInterrupt):
        search(settings, "toy", interrupted(frame, 6))
    stopped = searched(settings, [MARKET])
    after = search(settings, "toy", builder(frame))
    assert tried(after) == tried(whole)
    storage = open_searches(settings)
    kept = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
    assert [one.state.name for one in kept if one.user_attrs.get("killed")] == ["FAIL"]
    assert len(kept) == 11
    different = {str(one.params) for one in whole.trials}
    assert searched(settings, [MARKET]).count == len(different) > stopped.count > 0


KILLED = """
import os, signal
from pathlib import Path
from tests.search.toys import builder, history, project
from trading_assets.search import search

build, asked = builder(history()), 0
def kill(spec):
    global asked
    asked += 1
    if asked == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return build(spec)
search(project(Path({folder!r}), trials=8), "toy", kill)
"""


@pytest.mark.slow
def test_a_search_whose_process_was_killed_goes_on_where_it_was(tmp_path: Path, frame: pl.DataFrame) -> None:
    here = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(folder=str(tmp_path))],
        cwd=here,
        env=os.environ | {"PYTHONPATH": str(here)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    settings = project(tmp_path, trials=8)
    assert 0 < searched(settings, [MARKET]).count <= 4
    assert tried(search(settings, "toy", builder(frame))) == tried(found_in(settings, frame))
    assert searched(settings, [MARKET]).count <= 8


def test_other_settings_or_other_data_begin_another_search(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings = project(tmp_path, trials=2)
    first = search(settings, "toy", builder(frame))
    longer = search(settings, "toy", builder(history(121, seed=1)))
    assert first.cut.split != longer.cut.split or tried(first) != tried(longer)
    search(project(tmp_path, trials=2, seed=9), "toy", builder(frame))
    search(settings, "toy", builder(frame), anew=True)
    storage = open_searches(settings)
    assert [len(storage.get_all_trials(one._study_id)) for one in storage.get_all_studies()] == [2, 2, 2, 2]


def test_a_history_that_grew_goes_on_with_the_split_that_the_search_had(tmp_path: Path, frame: pl.DataFrame) -> None:
    first = search(project(tmp_path, trials=3), "toy", builder(frame.head(118 * 24)))
    grown = search(project(tmp_path, trials=6), "toy", builder(frame))
    assert grown.cut.split == first.cut.split
    assert tried(grown)[:3] == tried(first)
    assert grown.cut.end > first.cut.end


def test_trials_side_by_side_all_end_and_all_count(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings = project(tmp_path, trials=25, workers=3)
    steps: list[Step] = []
    found = search(settings, "toy", builder(frame), progress=steps.append)
    assert [step.done for step in steps] == list(range(1, 26))
    assert {one.state.name for one in found.trials} <= {"COMPLETE", "PRUNED"}
    assert searched(settings, [MARKET]).count == len({str(one.params) for one in found.trials})


def test_no_trial_begins_after_so_many_minutes(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings, now = project(tmp_path, trials=100, minutes=2), 0.0

    def clock() -> float:
        return now

    def half_a_minute(_: Step) -> None:
        nonlocal now
        now += 30

    found = look(settings, "toy", builder(frame), storage=None, progress=half_a_minute, clock=clock)
    assert len(found.trials) == 4


def test_what_was_tried_before_is_not_computed_again_and_counts_once(tmp_path: Path, frame: pl.DataFrame) -> None:
    two = project(tmp_path, trials=8, space={"rule.fast": [11, 12], "min_edge_bps": None})
    asked: list[StrategySettings] = []

    def build(spec: StrategySettings) -> Dataset:
        asked.append(spec)
        return builder(frame)(spec)

    found = search(two, "toy", build)
    assert len(found.trials) == 8
    assert len(asked) == 3, "once for the cut, and once for each of the two"
    assert found.tried.count == searched(two, [MARKET]).count == 2


def test_a_trial_that_fails_counts_and_one_that_cannot_be_does_not(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings = project(tmp_path, trials=12, space={"rule.fast": [5, 12, 150], "min_edge_bps": None})

    def build(spec: StrategySettings) -> Dataset:
        if spec.rule.fast == 5:  # type: ignore[attr-defined]
            raise ModelError("five is refused", where="toy")
        return builder(frame)(spec)

    found = search(settings, "toy", build)
    reasons = {one.user_attrs["reason"] for one in found.trials if one.state.name == "FAIL"}
    assert reasons == {"toy: five is refused", "fast 150 must be fewer bars than slow 26"}
    assert searched(settings, [MARKET]).count == 2


def test_where_the_first_trials_all_fail_the_reason_is_told(tmp_path: Path, frame: pl.DataFrame) -> None:
    def build(spec: StrategySettings) -> Dataset:
        if spec.walk_forward.tested_from is not None:
            raise ModelError("nothing is stored", where="toy")
        return builder(frame)(spec)

    with pytest.raises(ModelError, match="none of the first 5 trials could be evaluated; the last one failed: nothing"):
        look(project(tmp_path), "toy", build, storage=None)


def test_two_searches_of_one_model_at_once_are_refused(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings = project(tmp_path, trials=2)

    def build(spec: StrategySettings) -> Dataset:
        with pytest.raises(TradingError, match="another process is searching for it"):
            search(settings, "toy", builder(frame))
        return builder(frame)(spec)

    search(settings, "toy", build)


@pytest.mark.parametrize(
    ("days", "changes", "told"),
    [
        (40, {}, "leave 3.0 tested days to search in and 14.0 unseen ones; 14 are needed of each"),
        (120, {"unseen_share": 0.05}, "6.0 unseen ones"),
        (70, {"space": FAST | {"walk_forward.train_days": {"low": 5, "high": 30}}}, "after 30 days of training"),
    ],
)
def test_a_history_that_is_too_short_to_be_cut_is_refused_with_its_days(
    tmp_path: Path, days: int, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ModelError) as caught:
        found_in(project(tmp_path, **changes), history(days))
    assert told in str(caught.value)


def test_the_fragment_put_over_the_model_is_the_model_that_was_found(tmp_path: Path, frame: pl.DataFrame) -> None:
    space = FAST | {"walk_forward.train_days": {"low": 10, "high": 30}}
    found = found_in(project(tmp_path, trials=14, space=space), frame)
    told = yaml.safe_load(fragment(found))["models"]["toy"]
    assert told["walk_forward"]["tested_from"] == found.cut.split.date()
    before = yaml.safe_load(yaml.safe_dump(found.before.model_dump(mode="json")))
    assert STRATEGIES.read(before | told) == found.after
    windows = WalkForwardSettings.model_validate(told["walk_forward"])
    assert windows.test_days == 10, "a section stands there whole"


def test_nothing_to_search_is_refused(tmp_path: Path, frame: pl.DataFrame) -> None:
    with pytest.raises(ModelError, match="nothing is to be searched"):
        found_in(project(tmp_path, space=dict.fromkeys(FAST)), frame)


def test_importing_the_search_loads_neither_optuna_nor_mlflow() -> None:
    code = "import sys, trading_assets.search.stored; print({'optuna', 'mlflow', 'lightgbm'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_candles_after_the_split_tell_on_no_trial_of_a_model(settings: Settings) -> None:
    """From candles on: bars, features, labels and level steps are made of what is altered."""
    asked = SearchSettings(trials=3, workers=1, space={"toy": {"estimator.l2": {"low": 0.01, "high": 1, "log": True}}})
    model = settings.models["syna"].model_copy(
        update={"markets": [PLACEBO], "holdout_days": 0, "estimator": LogisticSettings(), "features": ["momentum"]}
    )
    windows = WalkForwardSettings(train_days=10, purge_days=1, embargo_days=1, test_days=5)
    model = model.model_copy(update={"walk_forward": windows})
    known = settings.model_copy(update={"models": {"toy": model}, "search": asked})
    honest = Research(World(PLANTED, 1, 60, candle_timeframe="15m"), known)
    found = look(known, "toy", honest.dataset, storage=None)
    later = pl.col("ts") >= found.cut.known_by
    altered = Research(honest.world, known)
    altered.candles = honest.candles.with_columns(
        pl.when(later).then(pl.col(name) * 1.7).otherwise(name).alias(name) for name in ("open", "high", "low", "close")
    )
    other = look(known, "toy", altered.dataset, storage=None)
    assert not altered.dataset(model).frame.equals(honest.dataset(model).frame)
    assert tried(other) == tried(found)
