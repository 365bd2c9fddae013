"""Gaps, daily quality and the comparison of exchanges: known answers, and windows of any cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.candles import CANDLE_COLUMNS
from trading_assets.sql import load_models, run_model, run_window
from trading_assets.store import Store
from trading_assets.store.tables import CANDLE_REVISIONS, CANDLES, CANDLES_QUARANTINE, Table

MARKET = "x:A/B"
DAY = datetime(2025, 3, 1, tzinfo=UTC)
END = DAY + timedelta(days=40)
MINUTE = timedelta(minutes=1)


def candles(
    minutes: list[int], *, market: str = MARKET, prices: list[float] | None = None, timeframe: str = "1m"
) -> pl.DataFrame:
    """Candles at DAY + minute; each moves unless its price repeats the one before."""
    rows = []
    for number, minute in enumerate(minutes):
        price = prices[number] if prices else 100.0 + minute % 7
        rows.append((market, timeframe, DAY + minute * MINUTE, price, price, price, price, float(minute % 2)))
    return pl.DataFrame(rows, schema=CANDLE_COLUMNS, orient="row")


def put(store: Store, *frames: pl.DataFrame) -> None:
    store.replace(CANDLES, pl.concat(frames), where={})


def window(
    store: Store, name: str, *, start: datetime = DAY, end: datetime = END, timeframe: str = "1m"
) -> pl.DataFrame:
    return run_window(store, load_models()[name], market=MARKET, timeframe=timeframe, start=start, end=end)


def test_a_gap_lies_between_two_stored_candles(duckdb_store: Store) -> None:
    put(duckdb_store, candles([5, 6, 9, 10, 200]))
    assert window(duckdb_store, "gaps").select("ts", "end", "candles").rows() == [
        (DAY + 7 * MINUTE, DAY + 9 * MINUTE, 2),
        (DAY + 11 * MINUTE, DAY + 200 * MINUTE, 189),
    ]


def test_complete_candles_of_any_timeframe_have_no_gap(duckdb_store: Store) -> None:
    put(duckdb_store, candles(list(range(0, 300, 15)), timeframe="15m"), candles([0, 90], timeframe="1m"))
    assert window(duckdb_store, "gaps", timeframe="15m").is_empty()
    assert window(duckdb_store, "gaps")["candles"].to_list() == [89]


@examples(25)
@given(
    st.lists(st.integers(0, 4_000), min_size=1, max_size=60, unique=True),
    st.lists(st.integers(-10, 4_100), max_size=4, unique=True),
)
def test_gaps_and_candles_together_are_every_minute_however_windows_are_cut(
    duckdb_store: Store, minutes: list[int], cuts: list[int]
) -> None:
    put(duckdb_store, candles(sorted(minutes)))
    edges = [DAY - timedelta(days=1), *(DAY + cut * MINUTE for cut in sorted(cuts)), END]
    gaps = pl.concat(window(duckdb_store, "gaps", start=start, end=end) for start, end in pairwise(edges))
    assert gaps["candles"].sum() + len(minutes) == max(minutes) - min(minutes) + 1
    assert gaps.select(((pl.col("end") - pl.col("ts")) == pl.col("candles") * MINUTE).all()).item()
    assert gaps.equals(window(duckdb_store, "gaps", start=edges[0]))


def quality(store: Store, **more: datetime) -> list[dict[str, object]]:
    return window(store, "daily_quality", **more).rows(named=True)


def test_a_days_summary_counts_what_is_there_and_what_is_not(duckdb_store: Store) -> None:
    first = list(range(1_430, 1_440))
    put(duckdb_store, candles([*first, 1_440, 1_441, 1_443]))
    one, two = quality(duckdb_store)
    assert (one["ts"], one["candles_expected"], one["candles_stored"], one["candles_missing"]) == (DAY, 10, 10, 0)
    assert one["zero_volume_share"] == 0.5
    assert (two["candles_expected"], two["candles_stored"], two["candles_missing"]) == (4, 3, 1)


def test_a_day_without_a_candle_has_its_row(duckdb_store: Store) -> None:
    put(duckdb_store, candles([0, 2 * 1_440]))
    one, two, three = quality(duckdb_store)
    assert [day["candles_missing"] for day in (one, two, three)] == [1_439, 1_440, 0]
    assert (two["zero_volume_share"], two["largest_return"], two["longest_frozen_run"]) == (None, None, 0)


def test_candles_that_do_not_move_are_a_frozen_run_until_one_is_missing(duckdb_store: Store) -> None:
    prices = [1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0]
    put(duckdb_store, candles([0, 1, 2, 3, 4, 5, 7, 8], prices=prices))
    (day,) = quality(duckdb_store)
    assert day["longest_frozen_run"] == 3


def test_the_largest_return_is_measured_in_the_days_own_spread(duckdb_store: Store) -> None:
    put(duckdb_store, candles(list(range(7)), prices=[100.0, 101.0, 100.0, 101.0, 100.0, 150.0, 151.0]))
    (day,) = quality(duckdb_store)
    changes = pl.Series([101 / 100, 100 / 101, 101 / 100, 100 / 101, 150 / 100, 151 / 150]) - 1
    distance = (changes - changes.median()).abs()
    assert day["largest_return"] == pytest.approx(0.5)
    assert day["largest_robust_z"] == pytest.approx(distance.max() / (1.4826 * distance.median()))


def test_a_return_over_a_gap_is_none(duckdb_store: Store) -> None:
    put(duckdb_store, candles([0, 2], prices=[1.0, 100.0]))
    (day,) = quality(duckdb_store)
    assert day["largest_return"] is None


def test_refused_and_revised_candles_count_for_their_day(duckdb_store: Store) -> None:
    put(duckdb_store, candles([0, 1, 2, 1_440]))
    refused = {"market": MARKET, "timeframe": "1m", "ts": DAY + MINUTE, "seen_at": DAY}
    rows = [{**refused, "row_hash": n, "released_at": DAY if n == 3 else None} for n in (1, 2, 3)]
    duckdb_store.replace(CANDLES_QUARANTINE, table_rows(CANDLES_QUARANTINE, rows), where={})
    revised = table_rows(CANDLE_REVISIONS, [{**refused, "ts": DAY + 1_440 * MINUTE}])
    duckdb_store.replace(CANDLE_REVISIONS, revised, where={})
    one, two = quality(duckdb_store)
    assert (one["candles_quarantined"], one["candles_revised"]) == (2, 0), "what was released is a candle again"
    assert (two["candles_quarantined"], two["candles_revised"]) == (0, 1)


def table_rows(table: Table, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in table.columns} for row in rows], schema=table.columns)


@examples(10)
@given(
    st.lists(st.integers(0, 6_000), min_size=1, max_size=80, unique=True),
    st.lists(st.integers(-1, 5), max_size=3, unique=True),
)
def test_days_are_the_same_however_windows_are_cut(duckdb_store: Store, minutes: list[int], cuts: list[int]) -> None:
    put(duckdb_store, candles(sorted(minutes)))
    edges = [DAY - timedelta(days=2), *(DAY + timedelta(days=cut) for cut in sorted(cuts)), END]
    pieces = [window(duckdb_store, "daily_quality", start=start, end=end) for start, end in pairwise(edges)]
    whole = window(duckdb_store, "daily_quality", start=edges[0])
    assert pl.concat(pieces).equals(whole)
    assert whole["candles_stored"].sum() == len(minutes)
    gaps = window(duckdb_store, "gaps", start=edges[0])
    assert whole["candles_missing"].sum() == gaps["candles"].sum()


def compared(store: Store, limit_bps: float = 10.0) -> dict[tuple[str, str], dict[str, object]]:
    model = load_models()["exchange_comparison"]
    frame = run_model(store, model, start=DAY, end=END, limit_bps=limit_bps)
    return {(row["market"], row["reference"]): row for row in frame.rows(named=True)}


def test_only_the_same_symbol_and_timeframe_on_another_exchange_is_compared(duckdb_store: Store) -> None:
    markets = ("x:A/B", "y:A/B", "y:A/B:B", "y:C/B")
    put(
        duckdb_store,
        *(candles([0, 1], market=market) for market in markets),
        candles([0, 5], market="z:A/B", timeframe="5m"),
    )
    assert set(compared(duckdb_store)) == {("x:A/B", "y:A/B"), ("y:A/B", "x:A/B")}


def test_deviations_are_in_basis_points_of_the_reference(duckdb_store: Store) -> None:
    prices = [100.0, 100.0, 100.0, 100.0]
    off = [100.0, 100.05, 99.8, 100.2]
    put(
        duckdb_store, candles([0, 1, 2, 3], prices=prices), candles([0, 1, 2, 3, 4], market="y:A/B", prices=[*off, 7.0])
    )
    row = compared(duckdb_store)["y:A/B", "x:A/B"]
    assert row["candles"] == 4
    assert row["median_deviation_bps"] == pytest.approx(2.5)
    assert row["median_distance_bps"] == pytest.approx(12.5)
    assert row["largest_distance_bps"] == pytest.approx(20)
    assert row["share_beyond_limit"] == 0.5
    assert row["volume_ratio"] == 1.0
    assert row["lag_candles"] is None, "the reference does not move"


@pytest.mark.parametrize("lag", [-2, 0, 1, 3])
def test_an_exchange_that_follows_another_is_found_with_its_lag(duckdb_store: Store, lag: int) -> None:
    walk = [100.0 + (n * n * 7919 % 101) / 10 for n in range(60)]
    followed = [walk[min(max(n - lag, 0), 59)] for n in range(60)]
    put(
        duckdb_store,
        candles(list(range(60)), prices=walk),
        candles(list(range(60)), market="y:A/B", prices=followed),
    )
    found = compared(duckdb_store)
    assert found["y:A/B", "x:A/B"]["lag_candles"] == lag
    assert found["x:A/B", "y:A/B"]["lag_candles"] == -lag
    assert found["y:A/B", "x:A/B"]["lag_correlation"] == pytest.approx(1)
