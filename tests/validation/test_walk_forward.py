from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, ModelError
from trading_assets.settings import WalkForwardSettings
from trading_assets.validation import Fold, WalkForward
from trading_assets.validation.walk_forward import MIN_TEST_SHARE

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BAR = timedelta(minutes=15)


def times(days: float, step: timedelta = BAR, life: timedelta = timedelta(hours=6)) -> tuple[pl.Series, pl.Series]:
    known_at = pl.datetime_range(START, START + days * DAY, step, closed="left", time_unit="us", eager=True)
    return known_at, known_at + life


def split(days: float, **windows: float) -> list[Fold]:
    return WalkForward(WalkForwardSettings(**windows)).split(*times(days))


def test_a_year_with_the_defaults_gives_six_contiguous_folds_and_no_row_is_left_over() -> None:
    folds = split(365)
    assert [fold.number for fold in folds] == [1, 2, 3, 4, 5, 6]
    assert folds[0].train_start == START
    assert folds[0].train_end == START + 180 * DAY
    assert folds[0].test_start == START + 183 * DAY
    assert all(a.test_end == b.test_start for a, b in pairwise(folds))
    assert folds[-1].test_end == START + 365 * DAY
    tested = np.concatenate([fold.test for fold in folds])
    assert np.array_equal(tested, np.arange(183 * 96, 365 * 96))


def test_the_last_window_is_shorter_unless_it_would_be_a_sliver() -> None:
    assert [fold.test_end - fold.test_start for fold in split(220)] == [30 * DAY, 7 * DAY]
    assert [fold.test_end - fold.test_start for fold in split(215)] == [32 * DAY]


def test_the_training_window_rolls_and_keeps_its_length() -> None:
    for fold in split(365):
        assert fold.train_end - fold.train_start == 180 * DAY
        assert len(fold.train) == 180 * 96


def test_a_history_that_is_too_short_says_how_many_days_are_there_and_needed() -> None:
    with pytest.raises(ModelError, match=r"150 days .* are there, 186 are needed \(180 train \+ 2 purge \+ 1 embargo"):
        split(150)


def test_an_empty_history_is_a_model_error() -> None:
    empty = pl.Series([], dtype=TS)
    with pytest.raises(ModelError, match="not a history"):
        WalkForward(WalkForwardSettings()).split(empty, empty)


def test_a_silent_month_makes_no_fold_and_a_silent_training_window_is_refused() -> None:
    known_at, label_end = times(60)
    windows = WalkForward(WalkForwardSettings(train_days=20, purge_days=1, embargo_days=1, test_days=5))
    silent = (known_at >= START + 27 * DAY) & (known_at < START + 32 * DAY)
    assert len(windows.split(known_at.filter(~silent), label_end.filter(~silent))) == 7
    silent = (known_at >= START + 25 * DAY) & (known_at < START + 59 * DAY)
    with pytest.raises(ModelError, match="no outcome is known in the training window"):
        windows.split(known_at.filter(~silent), label_end.filter(~silent))


@pytest.mark.parametrize(
    ("known_at", "label_end", "message"),
    [
        (pl.Series([START], dtype=TS), pl.Series([START, START], dtype=TS), "1 known_at but 2 label_end"),
        (pl.Series([START.replace(tzinfo=None)]), pl.Series([START], dtype=TS), "known_at is Datetime"),
        (pl.Series([START], dtype=TS), pl.Series([None], dtype=TS), "label_end has 1 nulls"),
        (pl.Series([START], dtype=TS), pl.Series([START - BAR], dtype=TS), "1 outcomes end before"),
    ],
)
def test_columns_that_break_the_contract_are_refused(known_at: pl.Series, label_end: pl.Series, message: str) -> None:
    with pytest.raises(InvalidFrame, match=message):
        WalkForward(WalkForwardSettings()).split(known_at, label_end)


@st.composite
def histories(draw: st.DrawFn) -> tuple[pl.Series, pl.Series, WalkForwardSettings]:
    """Irregular histories of several markets, unsorted, with outcomes that take from nothing to twelve days."""
    days = draw(st.integers(20, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    minutes = rng.integers(0, days * 1440, size=draw(st.integers(200, 800)))
    life = rng.integers(0, draw(st.integers(1, 12 * 1440)), size=len(minutes))
    frame = pl.DataFrame({"minutes": minutes, "life": life}).select(
        known_at=(pl.lit(START) + pl.duration(minutes="minutes")).cast(TS),
        label_end=(pl.lit(START) + pl.duration(minutes=pl.col("minutes") + pl.col("life"))).cast(TS),
    )
    length = st.floats(0, 4, allow_nan=False)
    windows = WalkForwardSettings(
        train_days=draw(st.floats(3, 15)),
        purge_days=draw(length),
        embargo_days=draw(length),
        test_days=draw(st.floats(1, 10)),
    )
    return frame["known_at"], frame["label_end"], windows


@examples(150)
@given(histories())
def test_no_training_outcome_comes_within_the_embargo_of_a_test_and_every_later_row_is_tested_once(
    history: tuple[pl.Series, pl.Series, WalkForwardSettings],
) -> None:
    known_at, label_end, windows = history
    splitter = WalkForward(windows)
    try:
        folds = splitter.split(known_at, label_end)
    except ModelError:  # too short, or long lives without a purge left a training window without one known outcome
        return
    embargo, purge = timedelta(days=windows.embargo_days), timedelta(days=windows.purge_days)
    for fold in folds:
        train, test = known_at.gather(fold.train), known_at.gather(fold.test)
        assert (train >= fold.train_start).all()
        assert train.max() < fold.test_start - purge - embargo + timedelta(microseconds=2)
        assert label_end.gather(fold.train).max() <= fold.test_start - embargo
        assert ((test >= fold.test_start) & (test < fold.test_end)).all()
        assert fold.test_end - fold.test_start < (1 + MIN_TEST_SHARE) * timedelta(days=windows.test_days)
        if purge >= (label_end - known_at).max():  # a purge as long as the horizon loses no row of the window
            inside = (known_at >= fold.train_start) & (known_at < fold.train_end)
            assert len(fold.train) == inside.sum()
    tested = np.concatenate([fold.test for fold in folds])
    assert len(tested) == len(set(tested)) == (known_at >= folds[0].test_start).sum()


@examples(30)
@given(histories(), st.randoms())
def test_the_order_of_the_rows_does_not_matter(
    history: tuple[pl.Series, pl.Series, WalkForwardSettings], random: object
) -> None:
    known_at, label_end, windows = history
    order = known_at.arg_sort()
    try:
        shuffled = WalkForward(windows).split(known_at, label_end)
    except ModelError:
        return
    in_order = WalkForward(windows).split(known_at.gather(order), label_end.gather(order))
    for a, b in zip(shuffled, in_order, strict=True):
        assert (a.test_start, a.test_end) == (b.test_start, b.test_end)
        assert sorted(known_at.gather(a.train)) == sorted(known_at.gather(order).gather(b.train))


def test_an_anchored_walk_forward_tests_the_same_windows_and_trains_from_the_start_of_the_history() -> None:
    rolling, anchored = split(365), split(365, anchored=True)
    assert [fold.test_start for fold in anchored] == [fold.test_start for fold in rolling]
    assert {fold.train_start for fold in anchored} == {START}
    assert [len(fold.train) for fold in anchored] == [(180 + 30 * number) * 96 for number in range(6)]


@examples(30)
@given(day=st.integers(0, 80), anchored=st.booleans())
def test_no_test_window_begins_before_the_day_that_is_tested_from_and_nothing_after_it_is_left_out(
    day: int, anchored: bool
) -> None:
    windows = {"train_days": 30, "purge_days": 1, "embargo_days": 1, "test_days": 10, "anchored": anchored}
    first = START + day * DAY
    folds = WalkForward(WalkForwardSettings(**windows, tested_from=first.date())).split(*times(100))
    begin = max(first, START + 32 * DAY)
    assert folds[0].test_start == begin
    assert all(fold.train_end == fold.test_start - 2 * DAY for fold in folds)
    tested = np.concatenate([fold.test for fold in folds])
    assert np.array_equal(tested, np.arange((begin - START) // BAR, 100 * 96))


def test_a_history_that_ends_before_the_day_that_is_tested_from_is_refused() -> None:
    windows = WalkForwardSettings(train_days=30, test_days=10, tested_from=(START + 100 * DAY).date())
    with pytest.raises(ModelError, match="history ends on 2024-04-10, and is tested from 2024-04-10 on"):
        WalkForward(windows).split(*times(100))


def test_windows_that_are_tested_from_no_day_are_written_as_before_there_was_such_a_setting() -> None:
    assert "tested_from" not in WalkForwardSettings().model_dump()
    told = WalkForwardSettings(tested_from=START.date()).model_dump(mode="json")
    assert WalkForwardSettings.model_validate(told).tested_from == START.date()
