"""Rows that look across a step of the price level are neither learnt from nor predicted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import PlantedFrames
from trading_assets.core.errors import ModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import fingerprint, lookback_bars
from trading_assets.models import dataset
from trading_assets.models.steps import across, stored_steps, without_crossings
from trading_assets.store import Store
from trading_assets.store.tables import BARS, CANDLES, FEATURES, LABELS

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

BAR = timedelta(minutes=15)
START = datetime(2025, 1, 1, tzinfo=UTC)
A, B = "sample:A/USDT", "sample:B/USDT"
TS = pl.Datetime("us", "UTC")


def rows_of(count: int) -> pl.DataFrame:
    ts = pl.Series("ts", [START + n * BAR for n in range(count)], dtype=TS)
    return pl.DataFrame({"market": [A] * count, "ts": ts, "known_at": ts + BAR})


@given(
    step=st.integers(0, 130 * 15),
    lookback=st.integers(2, 40),
    horizon=st.integers(1, 20),
    missing=st.sets(st.integers(0, 119), max_size=30),
)
def test_exactly_the_rows_whose_look_back_or_horizon_crosses_are_left_out(
    step: int, lookback: int, horizon: int, missing: set[int]
) -> None:
    rows = rows_of(120).filter(~pl.int_range(120).is_in(sorted(missing)))
    at = START + timedelta(minutes=step)
    found = across(rows, rows["ts"], at, lookback=lookback, horizon=horizon * BAR)
    ends = rows["known_at"].to_list()
    for number, (known, out) in enumerate(zip(ends, found, strict=True)):
        oldest = ends[max(number - lookback + 1, 0)]
        first_seen = number - lookback + 1 >= 0 or ends[0] <= at
        looks_back = oldest <= at < known and first_seen
        looks_ahead = known <= at < known + horizon * BAR
        if at not in (oldest, known):
            assert out == (looks_back or looks_ahead), (number, known)


def test_a_leaders_step_counts_for_its_followers_but_ahead_it_does_not() -> None:
    frame = pl.concat([rows_of(100), rows_of(100).with_columns(market=pl.lit(B))])
    bars = {A: rows_of(100)["ts"]}
    steps = {A: (START + 50 * BAR,)}
    kept, found = without_crossings(frame, steps, bars, lookback=10, horizon=4 * BAR, leader=A)
    left = {market: 100 - kept.filter(pl.col("market") == market).height for market in (A, B)}
    assert left == {A: 9 + 4, B: 9}
    assert [str(one) for one in found] == [
        f"{A}: 13 rows look across a step at 2025-01-01 12:30",
        f"{B}: 9 rows look across a step of its leader {A} at 2025-01-01 12:30",
    ]


@pytest.fixture
def stepping(store: Store, planted: PlantedFrames) -> Store:
    """A store with planted features and labels of sixty days, and candles whose price grows tenfold after thirty."""
    from trading_assets.models.inputs import usable_names

    features, labels = planted(days=60)
    named = {name: pl.lit(0.5) for name in usable_names(timeframe=M15) if name not in features.columns}
    store.upsert(FEATURES, features.drop("f0", "f1", "f2", "f3", "f4", "f5").with_columns(**named))
    store.upsert(LABELS, labels)
    price = pl.when(pl.col("ts") < START + timedelta(days=30)).then(100.0).otherwise(1000.0)
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    bars = features.select("market", "ts", "known_at").with_columns(**prices, volume=pl.lit(1.0))
    store.upsert(BARS["15m"], bars.with_columns(candles=pl.lit(1, pl.Int32)))
    store.upsert(CANDLES, bars.drop("known_at").with_columns(timeframe=pl.lit("15m")).select(*CANDLES.columns))
    return store


def test_a_data_set_leaves_out_what_looks_across_a_step_nobody_told_of(stepping: Store) -> None:
    data = dataset.build(stepping, [A], timeframe=M15)
    at = START + timedelta(days=30)
    (crossing,) = data.crossings
    assert (crossing.at, crossing.of) == (at, A)
    kept = data.frame
    assert kept.filter(pl.col("known_at") <= at).select((pl.col("label_end") <= at).all()).item()
    after = kept.filter(pl.col("ts") >= at)
    assert after["ts"].min() == at + (LOOKBACK_BARS - 1) * BAR
    assert kept.height + crossing.rows == 60 * 96
    assert data.fingerprint == fingerprint()


@pytest.mark.parametrize("told", [False, True])
def test_a_step_before_the_first_row_taken_is_looked_back_across(stepping: Store, told: bool) -> None:
    at = START + timedelta(days=30)
    since = at + timedelta(days=2)
    events = {A: [at - timedelta(hours=5)]} if told else {}
    kept = dataset.build(stepping, [A], since=since, events=events, timeframe=M15).frame
    assert kept["ts"].min() == at + (LOOKBACK_BARS - 1) * BAR


def test_a_leaders_step_is_seen_in_its_own_candles(stepping: Store) -> None:
    candles = stepping.read(CANDLES, where={"market": A})
    bars = stepping.read(BARS["15m"], where={"market": A})
    five = pl.concat(candles.with_columns(pl.col("ts") + n * timedelta(minutes=5)) for n in range(3))
    stepping.upsert(CANDLES, five.with_columns(market=pl.lit(B), timeframe=pl.lit("5m")))
    stepping.upsert(BARS["15m"], bars.with_columns(market=pl.lit(B)))
    assert stored_steps(stepping, [B], {}, min_factor=1.5) == {B: (START + timedelta(days=30),)}


def test_an_event_alone_is_enough_and_a_history_too_short_for_any_row_is_refused(stepping: Store) -> None:
    told = dataset.build(stepping, [A], events={A: [START + timedelta(days=10)]}, timeframe=M15)
    assert [crossing.at for crossing in told.crossings] == [START + timedelta(days=10), START + timedelta(days=30)]
    with pytest.raises(ModelError, match="no row is left: backfill a longer history after the step"):
        dataset.build(
            stepping, [A], events={A: [START + BAR, *(START + timedelta(days=day) for day in (20, 41))]}, timeframe=M15
        )
