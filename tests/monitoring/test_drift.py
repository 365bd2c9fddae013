"""Drift tests: quiet where nothing changes, however features remember; quick where something does."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from river.drift import ADWIN

from tests.monitoring.worlds import SHIFTED, Split, ar1, episodes, shifted, world
from trading_assets.core.errors import SettingsError
from trading_assets.monitoring.comparison import LEAST_WINDOWS, Comparison, Measured, Reference
from trading_assets.monitoring.drift_tests import drift_test, known_tests, register
from trading_assets.monitoring.drift_tests.adwin import Adwin
from trading_assets.monitoring.judging import judge, window_days
from trading_assets.settings import DriftSettings

FAST = DriftSettings(tests=["psi", "ks"])
TRAIN_DAYS = 180


@pytest.fixture(scope="module")
def quiet() -> list[Split]:
    """Worlds of a training window and a year in which nothing changes."""
    return [Split.of(world(np.random.default_rng(seed), TRAIN_DAYS + 365), TRAIN_DAYS) for seed in range(5)]


def test_false_alarms_come_at_most_once_a_year(quiet: list[Split]) -> None:
    assert sum(episodes(one.alarms()) for one in quiet) <= len(quiet)


def test_the_thresholds_of_independent_rows_would_alarm_almost_daily(quiet: list[Split]) -> None:
    """What the correction is for: PSI 0.15 and KS 0.1 as they stand."""
    found = judge(
        {"feature": quiet[0].reference}, {"feature": quiet[0].reference.count(quiet[0].later)}, FAST, window_days=1
    )
    alone = found.filter((pl.col("test") == "psi") & (pl.col("value") > 0.15))
    assert alone["ts"].n_unique() == found["ts"].n_unique()


def test_a_window_of_some_days_is_as_quiet() -> None:
    worlds = [Split.of(world(np.random.default_rng(seed), TRAIN_DAYS + 365, bars=24), TRAIN_DAYS) for seed in range(8)]
    assert sum(episodes(one.alarms(window_days=4, settings=FAST)) for one in worlds) <= len(worlds)


@pytest.mark.parametrize(("how", "by"), [("mean", {"mean": 1.5}), ("wider", {"scale": 4.0})], ids=["mean", "scale"])
def test_a_shift_of_several_features_is_found_within_200_bars(how: str, by: dict[str, float]) -> None:
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(100 + seed)
        split = Split.of(world(rng, TRAIN_DAYS + 4), TRAIN_DAYS)
        begin = int(rng.integers(0, 96))
        alarms = split.alarms(shifted(split.later, begin, SHIFTED, **by), settings=FAST)
        days = (begin + 200) // 96  # whole days that end within 200 bars
        last = split.later["day"].min() + timedelta(days=days - 1)  # type: ignore[operator]
        found += alarms.filter(pl.col("ts").dt.date() <= last, pl.col("name").is_in(SHIFTED)).height > 0
    assert found >= 9, how


def calibration_world(seed: int, days: int, broken_from: int | None = None) -> pl.DataFrame:
    """Outcomes of probabilities that are true, up to a bar; two bars share one outcome."""
    rng, bars = np.random.default_rng(seed), 96
    count = days * bars
    said = 0.4 + 0.1 * np.tanh(ar1(rng, count, 0.9))
    common = np.repeat(rng.random(count // 2), 2)
    true = said.copy()
    if broken_from is not None:
        true[broken_from:] = 0.9
    day = pl.Series(np.arange(count) // bars, dtype=pl.Int32)
    base = pl.date(2024, 1, 1)
    return pl.DataFrame({"long": (common < true) - said}).with_columns(day=base + pl.duration(days=day))


def test_a_broken_calibration_is_found_within_200_bars_and_a_true_one_is_left_alone() -> None:
    found, false = 0, 0
    for seed in range(10):
        begin = TRAIN_DAYS * 96 + 20 + 7 * seed
        frame = calibration_world(seed, TRAIN_DAYS + 4, begin)
        split = Split.of(frame, TRAIN_DAYS, "calibration")
        last = (begin + 200) // 96 - 1
        alarms = split.alarms(settings=FAST).filter(
            pl.col("ts").dt.date() <= pl.date(2024, 1, 1) + pl.duration(days=last)
        )
        found += alarms.height > 0
        false += episodes(
            Split.of(calibration_world(seed, TRAIN_DAYS + 365), TRAIN_DAYS, "calibration").alarms(settings=FAST)
        )
    assert found >= 9
    assert false <= 10


def test_a_small_lasting_shift_is_cut_once_by_adaptive_windowing() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"x": ar1(rng, 360 * 96, 0.5)}).with_columns(
        day=pl.date(2024, 1, 1) + pl.duration(days=pl.int_range(pl.len()) // 96)
    )
    split = Split.of(frame, TRAIN_DAYS)
    moved = split.later.with_columns(pl.col("x") + 0.25)
    alarms = split.alarms(moved)
    cuts = alarms.filter(pl.col("test") == "adwin")
    assert cuts.height == 1
    assert (cuts["ts"].min().date() - split.later["day"].min()).days < 150  # type: ignore[union-attr,operator]
    assert split.alarms().is_empty()


def test_adaptive_windowing_is_rivers() -> None:
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({"x": np.concatenate([rng.random(100 * 96), rng.random(100 * 96) + 0.6])}).with_columns(
        day=pl.date(2024, 1, 1) + pl.duration(days=pl.int_range(pl.len()) // 96)
    )
    split = Split.of(frame, 60)
    new = split.reference.count(split.later)
    found = Adwin().measure(Comparison(split.reference, new, 1, 1e-4), 0.0)
    detector = ADWIN(delta=1e-4, clock=1)
    training = split.reference.training.ranks[:, 0]
    for rank in training:
        detector.update(np.clip((rank - training.mean()) / (8 * training.std()) + 0.5, 0, 1))
    expected = []
    for rank in new.ranks[:, 0]:
        detector.update(np.clip((rank - training.mean()) / (8 * training.std()) + 0.5, 0, 1))
        expected.append(detector.drift_detected)
    assert split.reference.memory_days[0] < 1.5, "a block is a day"
    assert found.alarmed[:, 0].tolist() == expected
    assert sum(expected) == 1


def test_what_remembers_longer_than_its_training_window_allows_is_not_judged(quiet: list[Split]) -> None:
    reference = quiet[0].reference
    found = judge({"feature": reference}, {"feature": reference.count(quiet[0].later)}, FAST, window_days=1)
    unjudged = set(found.filter(pl.col("threshold").is_null(), test="psi")["name"])
    slow = {
        name
        for name, memory in zip(reference.names, reference.memory_days, strict=True)
        if TRAIN_DAYS / memory < LEAST_WINDOWS
    }
    assert unjudged == slow
    assert "ar0.0_0" not in slow


def test_the_order_of_rows_within_a_day_tells_nothing(quiet: list[Split]) -> None:
    later = quiet[0].later.head(96 * 5)
    shuffled = later.sample(fraction=1.0, shuffle=True, seed=3)
    reference = quiet[0].reference
    left, right = (
        judge({"feature": reference}, {"feature": reference.count(one)}, FAST, window_days=1)
        for one in (later, shuffled)
    )
    assert left.equals(right)


def test_days_with_few_rows_are_not_looked_at(quiet: list[Split]) -> None:
    later = quiet[0].later.head(96 * 3)
    begun = later[70:]  # a node that began in the evening
    found = judge({"feature": quiet[0].reference}, {"feature": quiet[0].reference.count(begun)}, FAST, window_days=1)
    assert found["ts"].n_unique() == 2


def test_new_nulls_are_drift() -> None:
    frame = world(np.random.default_rng(4), TRAIN_DAYS + 2).select("day", "ar0.5_0", "sometimes")
    split = Split.of(frame, TRAIN_DAYS)
    gone = split.later.with_columns(pl.lit(None, pl.Float64).alias("ar0.5_0"))
    assert set(split.alarms(gone, settings=FAST)["name"]) == {"ar0.5_0"}


def test_no_days_and_constants_raise_no_alarm() -> None:
    frame = pl.DataFrame({"day": [timedelta(0)] * 0, "x": []}, schema={"day": pl.Date, "x": pl.Float64})
    empty = Reference.of("feature", frame, ("x",))
    assert judge({"feature": empty}, {"feature": empty.count(frame)}, DriftSettings(), window_days=1).is_empty()
    same = world(np.random.default_rng(4), 70).select("day", x=pl.lit(1.0))
    split = Split.of(same, 60)
    assert split.alarms().is_empty()
    assert not split.alarms(same.tail(96).with_columns(x=pl.lit(2.0)), settings=FAST).is_empty(), "it is no longer one"


@pytest.mark.parametrize(
    ("timeframe", "bars", "days"), [(15, 100, 1), (60, 100, 4), (240, 100, 16), (1440, 100, 100), (1, 100, 1)]
)
def test_a_window_is_whole_days(timeframe: int, bars: int, days: int) -> None:
    assert window_days(timeframe, bars) == days


def test_a_further_test_is_one_class_and_one_registration() -> None:
    class Never:
        name = "never"

        def measure(self, compared: Comparison, least: float) -> Measured:
            shape = (len(compared.new.days), len(compared.new.names))
            return Measured(np.zeros(shape), np.full(shape[1], np.inf), np.ones(shape[1]), np.zeros(shape, dtype=bool))

    register(Never)
    assert "never" in known_tests()
    split = Split.of(world(np.random.default_rng(4), 32).select("day", "ar0.5_0"), 30)
    assert split.alarms(settings=DriftSettings(tests=["never"])).is_empty()
    with pytest.raises(SettingsError, match="no drift test 'kss'"):
        drift_test("kss")
