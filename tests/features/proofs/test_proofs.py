"""The proofs that features do not lie, and that the proofs find those that do."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.features.conftest import TIMEFRAMES, world_of
from trading_assets.core.errors import InvalidFrame
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, lookback_bars
from trading_assets.features.framework import computation
from trading_assets.features.framework.feature_set import FeatureSet
from trading_assets.features.framework.registry import REGISTRY, Registry
from trading_assets.features.framework.spans import DAY
from trading_assets.features.framework.windows import ewma, rolling_mean
from trading_assets.features.proofs.divergences import (
    Divergence,
    dependence_on_partitions,
    different,
    gap_dishonesty,
    live_parity,
    look_ahead,
    overstated_look_backs,
    undeclared_inputs,
    understated_look_backs,
)
from trading_assets.features.proofs.proving import made_up_bars, made_up_companions, prove

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

YEAR = 365 * 96


def everything_on(timeframe):
    return partial(compute, timeframe=timeframe)


everything = everything_on(M15)
quick = examples(12, suppress=HealthCheck.function_scoped_fixture)
every_timeframe = pytest.mark.parametrize(
    "timeframe",
    [pytest.param(one, marks=() if one == M15 else pytest.mark.slow) for one in TIMEFRAMES],
    ids=str,
)


@quick
@given(
    timeframe=st.sampled_from(TIMEFRAMES),
    later=st.integers(0, 930),
    factors=st.lists(st.floats(0.01, 100), min_size=1, max_size=7),
)
def test_a_candle_after_ts_never_changes_the_feature_row_at_ts(timeframe, later, factors):
    row, compute = lookback_bars(timeframe) - 1 + later, everything_on(timeframe)
    assert look_ahead(compute, *world_of(timeframe), row=row, factors=factors) == []


@quick
@given(timeframe=st.sampled_from(TIMEFRAMES), cuts=st.lists(st.integers(0, 940), max_size=6))
def test_parts_give_the_same_rows_as_the_whole(timeframe, cuts):
    lookback = lookback_bars(timeframe)
    cuts, compute = [lookback + cut for cut in cuts], everything_on(timeframe)
    assert dependence_on_partitions(compute, *world_of(timeframe), lookback=lookback, cuts=cuts) == []


@pytest.mark.slow
@quick
@given(timeframe=st.sampled_from(TIMEFRAMES), later=st.integers(0, 930), missing=st.integers(1, 300))
def test_missing_bars_leave_all_rows_alone_that_do_not_look_back_on_them(timeframe, later, missing):
    lookback, missing, compute = lookback_bars(timeframe), min(missing, 940 - later), everything_on(timeframe)
    world = world_of(timeframe)
    assert gap_dishonesty(compute, *world, lookback=lookback, first=lookback + later, missing=missing) == []


@quick
@given(timeframe=st.sampled_from(TIMEFRAMES), seed=st.integers(0, 2**32 - 1), later=st.integers(0, 940))
def test_no_feature_needs_more_bars_than_it_declares(timeframe, seed, later):
    features = REGISTRY.defined(timeframe)
    bars = made_up_bars(features.lookback_bars + 940, timeframe, seed=seed)
    assert understated_look_backs(features, bars, row=features.lookback_bars - 1 + later) == []


@every_timeframe
def test_no_feature_declares_more_bars_than_it_needs(timeframe):
    features = REGISTRY.defined(timeframe)
    bars = made_up_bars(features.lookback_bars + 2 * DAY.bars(timeframe), timeframe)
    assert overstated_look_backs(features, bars) == []


@every_timeframe
def test_no_feature_reads_a_column_that_it_does_not_declare(timeframe):
    assert undeclared_inputs(REGISTRY.on(timeframe), *world_of(timeframe)) == []


@pytest.mark.slow
def test_what_a_node_computes_bar_by_bar_over_a_gap_is_the_table(make_bars):
    bars = make_bars(LOOKBACK_BARS + 405, M15, seed=8)
    bars = pl.concat([bars[: LOOKBACK_BARS + 100], bars[LOOKBACK_BARS + 200 :]])
    companions = made_up_companions(bars, M15)
    assert live_parity(everything, bars, companions, lookback=LOOKBACK_BARS, replayed=300) == []


@every_timeframe
def test_the_newest_bars_alone_give_the_stored_row_on_every_timeframe(timeframe):
    compute, lookback = everything_on(timeframe), lookback_bars(timeframe)
    assert live_parity(compute, *world_of(timeframe), lookback=lookback, replayed=60) == []


@pytest.mark.slow
def test_a_year_with_spikes_and_crashes_equals_its_days_and_its_live_tails_to_the_last_bit(make_bars):
    year = make_bars(YEAR, M15, seed=5)
    rng = np.random.default_rng(6)
    spikes = np.where(rng.random(YEAR) < 2e-3, 1e6, 1.0)
    year = year.with_columns(volume=pl.col("volume") * spikes)
    table = compute(year, timeframe=M15)
    for last in rng.integers(LOOKBACK_BARS, YEAR, 60):
        tail = compute(year[last - LOOKBACK_BARS + 1 : last + 1], timeframe=M15)
        assert tail.equals(table.filter(pl.col("ts") == year["ts"][int(last)]))
    days = range(LOOKBACK_BARS + 96 * 200, YEAR, 96 * 9)
    assert dependence_on_partitions(everything, year, {}, lookback=LOOKBACK_BARS, cuts=days) == []


@pytest.mark.slow
def test_every_feature_is_proven_on_recorded_candles(real_bars):
    for replayed, candles in zip((200, 100), real_bars.values(), strict=False):
        verdicts = prove(REGISTRY.on(M15), candles[:6_000], made_up_companions(candles[:6_000], M15), replayed=replayed)
        assert [(one.feature, one.failures) for one in verdicts if not one.proven] == []


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

    @liar("row_of_the_day", 1)
    def row_of_the_day(frame):
        return (np.arange(len(frame)) % 96) + 0 * frame.close

    @liar("honest", 1_024)
    def honest(frame):
        return ewma(frame.close, 2 / 51) / frame.close

    return liars


@pytest.fixture
def liars() -> FeatureSet:
    return _liars().on(M15)


def _by(features: FeatureSet):
    return lambda frame, known: computation.compute(frame, features, known)


def _names(found: list[Divergence]) -> set[str]:
    return {one.feature for one in found}


def test_the_proof_finds_features_that_see_the_future(bars, liars):
    found = look_ahead(_by(liars), bars, {}, row=2_500, factors=[1.5, 0.5])
    assert _names(found) == {"centred_window", "next_bar", "normalised_by_the_frame"}
    next_bar = next(one for one in found if one.feature == "next_bar")
    assert next_bar.ts == bars["ts"][2_500]
    assert (next_bar.value, next_bar.other) == (bars["close"][2_501], bars["close"][2_501] * 0.5)


def test_the_proof_finds_features_that_depend_on_the_partition(bars, liars):
    lookback = liars.lookback_bars
    found = _names(dependence_on_partitions(_by(liars), bars, {}, lookback=lookback, cuts=range(lookback, 3_000, 96)))
    assert {"centred_window", "next_bar", "normalised_by_the_frame", "row_of_the_day"} <= found
    assert "honest" not in found


def test_the_proof_finds_a_seed_that_outlives_the_declared_look_back(bars, liars):
    found = _names(understated_look_backs(liars, bars, row=2_900))
    assert {"seeded_ema", "normalised_by_the_frame"} <= found
    assert "honest" not in found


def test_the_proof_finds_a_feature_that_counts_rows_for_time(bars, liars):
    found = _names(gap_dishonesty(_by(liars), bars, {}, lookback=1_024, first=1_500, missing=5))
    assert "row_of_the_day" in found
    assert "honest" not in found


def test_the_proof_finds_a_table_that_is_one_bar_late(bars):
    table = compute(bars, timeframe=M15)
    late = table.with_columns(pl.col("rsi_14").shift(1).backward_fill())
    assert [str(one) for one in different(table, late)] == [
        f"rsi_14 at {table['ts'][1]:%Y-%m-%d %H:%M}: {table['rsi_14'][1]!r} and {table['rsi_14'][0]!r}"
    ]
    assert _names(different(table, table[1:])) == {"rows"}


def test_the_live_proof_finds_a_bar_that_was_not_whole_yet(bars):
    def partial(frame: pl.DataFrame, row: int) -> pl.DataFrame:
        held = frame[row - LOOKBACK_BARS + 1 : row + 1]
        newest = pl.int_range(pl.len()) == pl.len() - 1
        return held.with_columns(pl.when(newest & (row == 2_990)).then(pl.col("volume") / 2).otherwise("volume"))

    found = live_parity(everything, bars, {}, lookback=LOOKBACK_BARS, replayed=12, tail=partial)
    assert {"volume_zscore_1d", "mfi_14"} <= _names(found)
    assert {one.ts for one in found} == {bars["ts"][2_990]}
    assert "rsi_14" not in _names(found)


def test_the_live_proof_finds_a_candle_that_came_late(bars):
    def late(frame: pl.DataFrame, row: int) -> pl.DataFrame:
        held = frame[: row + 1] if row != 2_990 else pl.concat([frame[: row - 3], frame[row - 2 : row + 1]])
        return held.tail(LOOKBACK_BARS)

    found = live_parity(everything, bars, {}, lookback=LOOKBACK_BARS, replayed=12, tail=late)
    assert {"roc_4", "rsi_14", "natr_14"} <= _names(found)
    assert {one.ts for one in found} == {bars["ts"][2_990]}


def test_the_proof_finds_another_seed_of_the_same_filter(bars):
    def seeded_at_the_frame(frame, known):
        close = frame["close"]
        return compute(frame, known, timeframe=M15).with_columns(
            ema_50_distance=(close / close.ewm_mean(alpha=2 / 51, adjust=False) - 1).tail(
                max(frame.height - LOOKBACK_BARS + 1, 0)
            ),
            ema_200_distance=(close / close.ewm_mean(alpha=2 / 201, adjust=False) - 1).tail(
                max(frame.height - LOOKBACK_BARS + 1, 0)
            ),
        )

    found = dependence_on_partitions(seeded_at_the_frame, bars, {}, lookback=LOOKBACK_BARS, cuts=[2_500, 2_900])
    assert _names(found) == {"ema_200_distance"}  # of 50 bars, the seed has died out within the look-back


def test_the_proof_finds_an_undeclared_input(bars):
    own = Registry()

    @own.feature("sly", inputs=["close"], lookback=1, unit="u", source="s")
    def sly(frame):
        return frame.close * frame.volume

    assert _names(undeclared_inputs(own.on(M15), bars, {})) == {"sly"}


def test_the_verdict_names_every_proof_that_a_liar_fails(make_bars, liars):
    verdicts = {one.feature: one for one in prove(liars, make_bars(4_000, M15), replayed=50)}
    assert verdicts["honest"].proven
    assert set(verdicts["next_bar"].failures) >= {"look-ahead", "live parity"}
    assert "live parity" in verdicts["normalised_by_the_frame"].failures
    assert "look-back" in verdicts["seeded_ema"].failures
    assert set(verdicts["row_of_the_day"].failures) == {"partitions", "live parity", "gaps", "look-back"}


def test_too_few_bars_prove_nothing(bars, liars):
    with pytest.raises(InvalidFrame, match="too few to prove"):
        prove(liars, bars[:1_500])


def test_a_companion_that_is_known_later_is_seen_later(bars, companions):
    later = {name: one.with_columns(pl.col("known_at") + timedelta(minutes=15)) for name, one in companions.items()}
    now, then = compute(bars, companions, timeframe=M15), compute(bars, later, timeframe=M15)
    for name in ("leader_return_1", "sentiment"):
        assert now[name].shift(1)[1:].equals(then[name][1:], null_equal=True), name
