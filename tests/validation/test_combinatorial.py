from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import comb

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, ModelError, SettingsError
from trading_assets.settings import WalkForwardSettings
from trading_assets.validation import CombinatorialPurged, TimeSplitter, WalkForwardSplitter

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(*, rows: int, life: int) -> pl.DataFrame:
    """One decision an hour, each with an outcome ``life`` hours later."""
    known_at = pl.datetime_range(START, START + rows * HOUR, HOUR, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"known_at": known_at, "label_end": known_at + life * HOUR})


def test_six_groups_of_two_give_fifteen_splits_and_five_paths_as_in_the_book() -> None:
    splitter = CombinatorialPurged(6, 2)
    assert splitter.get_n_splits() == 15
    assert splitter.n_paths == 5
    times = hours(rows=60, life=1)
    assert len(splitter.folds(times["known_at"], times["label_end"])) == 15


def test_a_case_by_hand() -> None:
    """Twelve hours in three groups of four; outcomes after two hours, an hour of embargo; the middle is tested."""
    times = hours(rows=12, life=2)
    fold = CombinatorialPurged(3, 1, HOUR).folds(times["known_at"], times["label_end"])[1]
    assert fold.test_groups == (1,)
    assert fold.test.tolist() == [4, 5, 6, 7]
    # Outcomes by hour 3 (the test starts at 4); decisions from hour 10 on (the last tested outcome is known at 9).
    assert fold.train.tolist() == [0, 1, 10, 11]


def test_groups_are_spans_of_time_and_not_counts_of_rows() -> None:
    dense, sparse = hours(rows=100, life=1)[:50:1], hours(rows=100, life=1)[50::10]
    times = pl.concat([dense, sparse])
    folds = CombinatorialPurged(2, 1).folds(times["known_at"], times["label_end"])
    assert [fold.test.size for fold in folds] == [46, 9]  # the last decision is at hour 90: the middle is at 45.5


def test_paths_cover_every_row_once_per_path_and_take_no_prediction_twice() -> None:
    splitter = CombinatorialPurged(6, 3)
    times = hours(rows=120, life=1)
    folds = splitter.folds(times["known_at"], times["label_end"])
    paths = splitter.paths(folds, [np.full(fold.test.size, fold.number, dtype=float) for fold in folds])
    assert paths.shape == (10, 120)
    assert not np.isnan(paths).any()
    for row in range(120):
        assert sorted(paths[:, row]) == [fold.number for fold in folds if row in fold.test]


def test_predictions_of_another_length_are_refused() -> None:
    splitter = CombinatorialPurged(3, 1)
    times = hours(rows=12, life=1)
    folds = splitter.folds(times["known_at"], times["label_end"])
    with pytest.raises(InvalidFrame, match="3 predictions for 4 test rows"):
        splitter.paths(folds, [np.zeros(3)] * 3)


@pytest.mark.parametrize(("groups", "tested"), [(6, 0), (6, 6), (1, 1)])
def test_impossible_numbers_of_groups_are_refused(groups: int, tested: int) -> None:
    with pytest.raises(SettingsError, match="cannot be tested"):
        CombinatorialPurged(groups, tested)


def test_a_negative_embargo_is_refused() -> None:
    with pytest.raises(SettingsError, match="negative"):
        CombinatorialPurged(6, 2, -HOUR)


def test_an_empty_history_a_silent_group_and_a_split_without_training_rows_are_model_errors() -> None:
    times = hours(rows=100, life=1)
    with pytest.raises(ModelError, match="no rows to split"):
        CombinatorialPurged().folds(times["known_at"][:0], times["label_end"][:0])
    silent = pl.concat([times[:40], times[60:]])
    with pytest.raises(ModelError, match="group 3 of 5 has no rows"):
        CombinatorialPurged(5, 1).folds(silent["known_at"], silent["label_end"])
    with pytest.raises(ModelError, match="leave nothing to train on beside the groups 1, 2 of 3"):
        CombinatorialPurged(3, 2, 50 * HOUR).folds(times["known_at"], times["label_end"])


@st.composite
def histories(draw: st.DrawFn) -> pl.DataFrame:
    """Irregular, unsorted, with doubled times as several markets have them, and outcomes from at once to days later."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    minutes = rng.integers(0, draw(st.integers(1, 30)) * 1440, size=draw(st.integers(30, 400)))
    life = rng.integers(0, draw(st.integers(1, 3 * 1440)), size=len(minutes))
    frame = pl.DataFrame({"known_at": minutes, "label_end": minutes + life})
    return frame.select(
        (pl.lit(START) + pl.duration(minutes=name)).cast(TS).alias(name) for name in ("known_at", "label_end")
    )


@st.composite
def combinatorial(draw: st.DrawFn) -> CombinatorialPurged:
    groups = draw(st.integers(2, 8))
    minutes = draw(st.integers(0, 2 * 1440))
    return CombinatorialPurged(groups, draw(st.integers(1, groups - 1)), timedelta(minutes=minutes))


@st.composite
def walk_forwards(draw: st.DrawFn) -> WalkForwardSplitter:
    length = st.floats(0, 2)
    windows = WalkForwardSettings(
        train_days=draw(st.floats(1, 8)),
        purge_days=draw(length),
        embargo_days=draw(length),
        test_days=draw(st.floats(1, 5)),
        anchored=draw(st.booleans()),
    )
    return WalkForwardSplitter(windows)


def embargo_of(splitter: TimeSplitter) -> timedelta:
    if isinstance(splitter, CombinatorialPurged):
        return splitter.embargo
    assert isinstance(splitter, WalkForwardSplitter)
    return timedelta(days=splitter.settings.embargo_days)


@examples(200)
@given(histories(), st.one_of(combinatorial(), walk_forwards()))
def test_no_training_outcome_ends_inside_a_test_or_its_embargo_and_no_two_lives_overlap(
    times: pl.DataFrame, splitter: TimeSplitter
) -> None:
    try:
        splits = list(splitter.split(None, None, times))
    except ModelError:  # the history is too short for the windows drawn
        return
    embargo = embargo_of(splitter) // timedelta(microseconds=1)
    known_at, label_end = (times[name].to_physical().to_numpy() for name in ("known_at", "label_end"))
    for train, test in splits:
        assert np.intersect1d(train, test).size == 0
        start, end = known_at[test][:, None], label_end[test][:, None]
        assert not ((label_end[train] > start) & (label_end[train] < end + embargo)).any()
        assert not ((known_at[train] < end + embargo) & (label_end[train] > start - embargo)).any()


@examples(50)
@given(histories(), combinatorial())
def test_every_row_is_tested_equally_often_and_only_rows_near_a_test_are_lost(
    times: pl.DataFrame, splitter: CombinatorialPurged
) -> None:
    try:
        folds = splitter.folds(times["known_at"], times["label_end"])
    except ModelError:
        return
    tested = np.concatenate([fold.test for fold in folds])
    assert len(folds) == comb(splitter.n_groups, splitter.n_test_groups)
    assert (np.bincount(tested, minlength=times.height) == splitter.n_paths).all()
    longest = (times["label_end"] - times["known_at"]).max()
    assert isinstance(longest, timedelta)
    reach = (longest + splitter.embargo) // timedelta(microseconds=1)
    known_at = times["known_at"].to_physical().to_numpy()
    for fold in folds:
        lost = np.setdiff1d(np.arange(times.height), np.concatenate([fold.train, fold.test]))
        distance = np.abs(known_at[lost][:, None] - known_at[fold.test]).min(axis=1)
        assert (distance <= reach).all()


@pytest.mark.slow
def test_scikit_learn_takes_both_splitters_as_cv() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, cross_val_score

    times = hours(rows=24 * 60, life=6)
    rng = np.random.default_rng(1)
    features = rng.normal(size=(times.height, 3))
    hit = (features[:, 0] + rng.normal(size=times.height) > 0).astype(int)
    windows = WalkForwardSettings(train_days=20, purge_days=1, embargo_days=1, test_days=5)
    for splitter, expected in ((CombinatorialPurged(6, 2, HOUR), 15), (WalkForwardSplitter(windows), 8)):
        scores = cross_val_score(
            LogisticRegression(), features, hit, groups=times, cv=splitter, scoring="roc_auc", error_score="raise"
        )
        assert len(scores) == splitter.get_n_splits(features, hit, times) == expected
        assert (scores > 0.65).all()
        search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=splitter).fit(features, hit, groups=times)
        assert search.n_splits_ == expected


def test_a_frame_with_both_times_splits_without_groups_and_anything_else_says_what_is_missing() -> None:
    times = hours(rows=60, life=1)
    assert len(list(CombinatorialPurged(6, 2).split(times))) == 15
    with pytest.raises(InvalidFrame, match="no columns known_at and label_end to split on"):
        list(CombinatorialPurged(6, 2).split(np.zeros((60, 2))))
    with pytest.raises(InvalidFrame, match="no columns"):
        list(CombinatorialPurged(6, 2).split(np.zeros((60, 2)), groups=times.select("known_at")))


@pytest.mark.slow
def test_scikit_learn_routes_the_times_through_a_search_within_a_cross_validation() -> None:
    import sklearn
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    times = hours(rows=24 * 60, life=6)
    rng = np.random.default_rng(2)
    features = rng.normal(size=(times.height, 3))
    hit = (features[:, 0] + rng.normal(size=times.height) > 0).astype(int)
    outer = WalkForwardSplitter(WalkForwardSettings(train_days=30, purge_days=1, embargo_days=1, test_days=10))
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        cv=CombinatorialPurged(4, 1, HOUR),
        error_score="raise",
    )
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(search, features, hit, params={"groups": times}, cv=outer, error_score="raise")
    assert len(scores) == 3
    assert (scores > 0.6).all()


@pytest.mark.parametrize("splitter", [CombinatorialPurged(6, 2), WalkForwardSplitter(WalkForwardSettings())])
def test_times_of_another_length_than_the_samples_are_refused(splitter: TimeSplitter) -> None:
    times = hours(rows=24 * 220, life=1)
    samples = np.zeros((times.height - 1, 2))
    with pytest.raises(InvalidFrame, match="5280 times for 5279 samples"):
        next(splitter.split(samples, groups=times))
    with pytest.raises(InvalidFrame, match="5280 times for 5278 outcomes"):
        next(splitter.split(times, y=np.zeros(times.height - 2)))
