"""The proofs that features do not lie, and that the proofs find those that do."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_assets.features import LOOKBACK_BARS, compute, engine
from trading_assets.features.proofs import (
    dependence_on_partitions,
    different,
    look_ahead,
    overstated_look_backs,
    undeclared_inputs,
    understated_look_backs,
)
from trading_assets.features.registry import REGISTRY, Registry
from trading_assets.features.windows import ewma, rolling_mean

YEAR = 365 * 96
quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(
    row=st.integers(LOOKBACK_BARS - 1, 2_990),
    factors=st.lists(st.floats(0.01, 100), min_size=1, max_size=7),
)
def test_a_candle_after_ts_never_changes_the_feature_row_at_ts(bars, row, factors):
    assert look_ahead(compute, bars, row=row, factors=factors) == []


@quick
@given(cuts=st.lists(st.integers(LOOKBACK_BARS, 2_999), max_size=6))
def test_parts_give_the_same_rows_as_the_whole(bars, cuts):
    assert dependence_on_partitions(compute, bars, lookback=LOOKBACK_BARS, cuts=cuts) == []


@quick
@given(seed=st.integers(0, 2**32 - 1), row=st.integers(LOOKBACK_BARS - 1, 2_999))
def test_no_feature_needs_more_bars_than_it_declares(make_bars, seed, row):
    assert understated_look_backs(REGISTRY, make_bars(3_000, seed=seed), row=row) == []


def test_no_feature_declares_more_bars_than_it_needs(bars):
    assert overstated_look_backs(REGISTRY, bars) == []


def test_no_feature_reads_a_column_that_it_does_not_declare(bars):
    assert undeclared_inputs(REGISTRY, bars) == []


def test_a_year_with_spikes_and_crashes_equals_its_days_and_its_live_tails(make_bars):
    year = make_bars(YEAR, seed=5)
    rng = np.random.default_rng(6)
    spikes = np.where(rng.random(YEAR) < 2e-3, 1e6, 1.0)
    year = year.with_columns(volume=pl.col("volume") * spikes)
    table = compute(year)
    for last in rng.integers(LOOKBACK_BARS, YEAR, 60):
        tail = compute(year[last - LOOKBACK_BARS + 1 : last + 1])
        assert tail.equals(table.filter(pl.col("ts") == year["ts"][int(last)]))
    days = range(LOOKBACK_BARS + 96 * 200, YEAR, 96 * 9)
    assert dependence_on_partitions(compute, year, lookback=LOOKBACK_BARS, cuts=days) == []


def test_recorded_candles_pass_as_well(real_bars):
    for name, candles in real_bars.items():
        some = candles[:4_000]
        cuts = range(LOOKBACK_BARS, 4_000, 97)
        assert dependence_on_partitions(compute, some, lookback=LOOKBACK_BARS, cuts=cuts) == [], name
        assert look_ahead(compute, some, row=3_000, factors=[1.2, 0.7]) == [], name


def _liars() -> Registry:
    liars = Registry()

    def liar(name: str, lookback: int):
        return liars.feature(name, inputs=["close"], lookback=lookback, unit="u", source="s")

    @liar("centred_window", 21)
    def centred(frame):
        mean = np.full(len(frame), np.nan)
        mean[20:-10] = rolling_mean(frame.close, 21)[30:]
        return np.where(np.isnan(mean), frame.close, mean)

    @liar("next_bar", 1)
    def next_bar(frame):
        return np.append(frame.close[1:], frame.close[-1])

    @liar("normalised_by_the_frame", 1)
    def normalised(frame):
        return (frame.close - frame.close.mean()) / frame.close.std()

    @liar("seeded_ema", 50)
    def seeded(frame):
        return pl.Series(frame.close).ewm_mean(alpha=2 / 51, adjust=False).to_numpy()

    @liar("honest", 1_024)
    def honest(frame):
        return ewma(frame.close, 2 / 51) / frame.close

    return liars


@pytest.fixture
def liars() -> Registry:
    return _liars()


def test_the_proof_finds_features_that_see_the_future(bars, liars):
    found = look_ahead(lambda frame: engine.compute(frame, liars), bars, row=2_500, factors=[1.5, 0.5])
    assert found == ["centred_window", "next_bar", "normalised_by_the_frame"]


def test_the_proof_finds_features_that_depend_on_the_partition(bars, liars):
    lookback = liars.lookback_bars
    found = dependence_on_partitions(
        lambda frame: engine.compute(frame, liars), bars, lookback=lookback, cuts=range(lookback, 3_000, 96)
    )
    assert {"centred_window", "next_bar", "normalised_by_the_frame"} <= set(found)
    assert "honest" not in found


def test_the_proof_finds_a_seed_that_outlives_the_declared_look_back(bars, liars):
    assert {"seeded_ema", "normalised_by_the_frame"} <= set(understated_look_backs(liars, bars, row=2_900))
    assert "honest" not in understated_look_backs(liars, bars, row=2_900)


def test_the_proof_finds_a_table_that_is_one_bar_late(bars):
    table = compute(bars)
    late = table.with_columns(pl.col("rsi_14").shift(1).backward_fill())
    assert different(table, late) == ["rsi_14"]
    assert different(table, table[1:]) == ["rows"]


def test_the_proof_finds_an_undeclared_input(bars):
    own = Registry()

    @own.feature("sly", inputs=["close"], lookback=1, unit="u", source="s")
    def sly(frame):
        return frame.close * frame.volume

    assert undeclared_inputs(own, bars) == ["sly"]
