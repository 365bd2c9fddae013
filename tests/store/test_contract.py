"""What every engine promises."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.store.conftest import on_hypertables_too
from trading_assets.core.candles import CANDLE_COLUMNS, TS
from trading_assets.core.errors import InvalidFrame, StoreError
from trading_assets.store import TABLES, Store, Table, open_store
from trading_assets.store.tables import BACKTEST_METRICS, CANDLES, CANDLES_QUARANTINE, FEATURES, FOLDS, LABELS

START = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Key = tuple[str, str, datetime]


def candles(minutes: int = 3, *, market: str = "x:A/B", close: float = 1.0, start: datetime = START) -> pl.DataFrame:
    ts = pl.datetime_range(start, start + minutes * MINUTE, MINUTE, closed="left", time_unit="us", eager=True)
    prices = {column: pl.repeat(close, minutes, eager=True) for column in ("open", "high", "low", "close", "volume")}
    return pl.DataFrame({"market": [market] * minutes, "timeframe": ["1m"] * minutes, "ts": ts, **prices})


def features(minutes: int = 2, **values: float) -> pl.DataFrame:
    bars = candles(minutes).select("market", "timeframe", "ts", known_at=pl.col("ts") + 15 * MINUTE)
    return bars.with_columns(**{name: pl.lit(value) for name, value in values.items()})


# reading and writing


@on_hypertables_too
def test_a_store_never_written_is_empty_everywhere(url: str) -> None:
    store = open_store(url, lock_timeout_s=300)
    for table in TABLES.values():
        frame = store.read(table)
        assert frame.is_empty()
        assert dict(frame.schema) == {
            name: pl.DataFrame(schema={name: t}).schema[name] for name, t in table.columns.items()
        }
        if table.time:
            assert store.bounds(table) is None
    assert store.tail(CANDLES, where={"market": "x:A/B"}, before=START, rows=5).is_empty()
    assert store.query("SELECT count(*) AS n FROM candles JOIN bars_1h USING (market)").item() == 0


@on_hypertables_too
def test_what_is_written_is_read_back_sorted_with_the_declared_types(store: Store) -> None:
    frame = pl.concat([candles(5, market="x:B/B"), candles(5)])
    assert store.upsert(CANDLES, frame.sample(fraction=1, shuffle=True, seed=1)) == 10
    read = store.read(CANDLES)
    assert read.equals(frame.sort("market", "ts"))
    assert dict(read.schema) == {
        name: pl.DataFrame(schema={name: t}).schema[name] for name, t in CANDLE_COLUMNS.items()
    }


@on_hypertables_too
def test_every_table_takes_and_gives_a_row_of_its_own_types(store: Store) -> None:
    examples = {pl.String(): 'it\'s "quoted" $1 é', pl.Float64(): 0.1, pl.Boolean(): True, TS: START}
    examples[pl.List(pl.Float64)] = [0.1, 2.0]
    written = {}
    for table in (table for table in TABLES.values() if not table.view):
        schema = pl.DataFrame(schema=table.columns).schema
        full = pl.DataFrame({c: [examples.get(t, 7)] for c, t in schema.items()}, schema=schema)
        sparse = full.with_columns(
            *(pl.lit(None, t).alias(c) for c, t in schema.items() if c not in table.key),
            **{table.key[-1]: pl.Series([later(full[table.key[-1]].item())], dtype=schema[table.key[-1]])},
        )
        written[table.name] = pl.concat([full, sparse])
    with store.kept_open():
        for name, rows in written.items():
            store.upsert(TABLES[name], rows)
            store.upsert(TABLES[name], rows)
    with store.kept_open():
        for name, rows in written.items():
            assert store.read(TABLES[name]).equals(rows.sort(TABLES[name].key)), name


def test_the_largest_keys_are_found_again(store: Store) -> None:
    row = {name: [None] for name in CANDLES_QUARANTINE.columns} | {
        "market": ["x:A/B"],
        "timeframe": ["1m"],
        "ts": [START],
    }
    rows = [pl.DataFrame(row | {"row_hash": [h]}, schema=CANDLES_QUARANTINE.columns) for h in (0, 2**63, 2**64 - 1)]
    for _ in range(2):
        for one in (*rows, pl.concat(rows)):
            store.upsert(CANDLES_QUARANTINE, one)
    assert store.read(CANDLES_QUARANTINE)["row_hash"].to_list() == [0, 2**63, 2**64 - 1]


def later(value: object) -> object:
    return value + MINUTE if isinstance(value, datetime) else f"{value}z" if isinstance(value, str) else 8


@on_hypertables_too
def test_windows_are_half_open_and_filters_combine(store: Store) -> None:
    store.upsert(CANDLES, pl.concat([candles(10, market=f"x:{name}/B") for name in "ABC"]))
    window = store.read(CANDLES, where={"market": "x:B/B"}, start=START + 2 * MINUTE, end=START + 5 * MINUTE)
    assert window["ts"].to_list() == [START + i * MINUTE for i in (2, 3, 4)]
    assert window["market"].unique().to_list() == ["x:B/B"]
    several = store.read(CANDLES, where={"market": ["x:A/B", "x:C/B"], "timeframe": "1m"}, end=START + MINUTE)
    assert several["market"].to_list() == ["x:A/B", "x:C/B"]
    assert store.read(CANDLES, where={"market": []}).is_empty()
    assert store.read(CANDLES, where={"market": "nothing"}).is_empty()


def test_columns_choose_and_order_what_comes_back(store: Store) -> None:
    store.upsert(CANDLES, candles(3))
    assert store.read(CANDLES, columns=["close", "ts"]).columns == ["close", "ts"]
    constant = store.read(CANDLES, where={"market": "x:A/B"}, columns=["market"])
    assert constant.to_dict(as_series=False) == {"market": ["x:A/B"] * 3}
    store.upsert(
        BACKTEST_METRICS,
        pl.DataFrame({"model": ["m"], "version": pl.Series([1], dtype=pl.Int32), "metric": ["sharpe"], "value": [1.5]}),
    )
    only_key = store.read(BACKTEST_METRICS, where={"model": "m", "metric": "sharpe"}, columns=["model"])
    assert only_key.to_dict(as_series=False) == {"model": ["m"]}


@on_hypertables_too
def test_the_tail_is_the_newest_rows_before_a_time_in_ascending_order(store: Store) -> None:
    store.upsert(CANDLES, pl.concat([candles(10), candles(10, market="x:C/B", close=9.0)]))
    tail = store.tail(CANDLES, where={"market": "x:A/B", "timeframe": "1m"}, before=START + 8 * MINUTE, rows=3)
    assert tail["ts"].to_list() == [START + i * MINUTE for i in (5, 6, 7)]
    assert tail["close"].to_list() == [1.0] * 3


@on_hypertables_too
def test_bounds_are_the_oldest_and_the_newest_time(store: Store) -> None:
    store.upsert(CANDLES, pl.concat([candles(10), candles(99, market="x:C/B")]))
    assert store.bounds(CANDLES, where={"market": "x:A/B"}) == (START, START + 9 * MINUTE)
    assert store.bounds(CANDLES) == (START, START + 98 * MINUTE)
    assert store.bounds(CANDLES, where={"market": "x:Z/B"}) is None


@on_hypertables_too
def test_a_query_takes_named_parameters_and_answers_in_utc(store: Store) -> None:
    store.upsert(CANDLES, candles(10))
    sql = "SELECT max(ts) AS newest, count(*) AS n FROM candles WHERE market = $market AND ts < $end"
    answer = store.query(sql, {"market": "x:A/B", "end": START + 4 * MINUTE})
    assert answer.rows() == [(START + 3 * MINUTE, 4)]
    assert answer.schema["newest"] == TS


def test_a_refused_query_says_why(store: Store) -> None:
    with pytest.raises(StoreError, match="no_such_column"):
        store.query("SELECT no_such_column FROM candles")
    with pytest.raises(StoreError, match="no_such_table"):
        store.query("SELECT * FROM no_such_table")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "the query is empty"),
        ("  -- nothing but a comment", "the query is empty"),
        ("SELECT 1; SELECT 2", "SELECT 1; SELECT 2: 2 statements where one is expected"),
        ("COPY (SELECT 1) TO '{file}'", "COPY is not a SELECT"),
        ("DELETE FROM candles", "DELETE is not a SELECT"),
        ("ATTACH '{file}'", "ATTACH is not a SELECT"),
    ],
)
def test_a_query_is_one_select_and_writes_nowhere(store: Store, tmp_path: Path, sql: str, said: str) -> None:
    file = tmp_path / "written"
    with pytest.raises(StoreError, match=re.escape(said)):
        store.query(sql.format(file=file))
    assert not file.exists()


@pytest.mark.parametrize(
    "sql", ["SELECT 1 AS n;", "WITH a AS (SELECT 1 AS n) SELECT n FROM a", "SELECT n FROM (VALUES (1)) AS v(n)"]
)
def test_a_select_may_begin_and_end_as_it_likes(store: Store, sql: str) -> None:
    assert store.query(sql).rows() == [(1,)]


# replacing


@on_hypertables_too
def test_an_upsert_replaces_rows_of_the_same_key_and_keeps_the_others(store: Store) -> None:
    store.upsert(CANDLES, candles(10, close=1.0))
    store.upsert(CANDLES, candles(3, close=2.0, start=START + 4 * MINUTE))
    assert store.read(CANDLES)["close"].to_list() == [1.0] * 4 + [2.0] * 3 + [1.0] * 3


def test_a_key_that_windows_are_not_cut_on_is_found_whatever_its_time(store: Store) -> None:
    fold = {name: [None] for name in FOLDS.columns} | {"model": ["m"], "fold": [1], "side": [1]}
    first = pl.DataFrame(fold | {"test_start": [START]}, schema=FOLDS.columns)
    store.upsert(FOLDS, first)
    moved = first.with_columns(test_start=pl.lit(START + 400 * MINUTE).cast(TS))
    store.upsert(FOLDS, moved)
    assert store.read(FOLDS).equals(moved)


@on_hypertables_too
def test_replace_leaves_only_the_frame_in_its_window(store: Store) -> None:
    store.upsert(CANDLES, pl.concat([candles(10), candles(10, market="x:C/B")]))
    new = candles(2, close=5.0, start=START + 3 * MINUTE)
    scope = {"market": "x:A/B", "timeframe": "1m"}
    assert store.replace(CANDLES, new, where=scope, start=START + 2 * MINUTE, end=START + 6 * MINUTE) == 2
    mine = store.read(CANDLES, where=scope)
    assert mine["close"].to_list() == [1.0, 1.0, 5.0, 5.0, 1.0, 1.0, 1.0, 1.0]
    assert len(store.read(CANDLES, where={"market": "x:C/B"})) == 10
    store.replace(CANDLES, candles(0), where=scope)
    assert store.read(CANDLES, where=scope).is_empty()
    store.replace(CANDLES, candles(1), where={})
    assert store.read(CANDLES).equals(candles(1))


def test_replace_refuses_rows_outside_of_its_window(store: Store) -> None:
    with pytest.raises(InvalidFrame, match=r"1 of 3 rows lie outside.*market=x:A/B"):
        store.replace(CANDLES, candles(3), where={"market": "x:A/B"}, start=START, end=START + 2 * MINUTE)
    with pytest.raises(InvalidFrame, match="3 of 3 rows"):
        store.replace(CANDLES, candles(3), where={"market": "x:C/B"})
    assert store.read(CANDLES).is_empty()


@on_hypertables_too
def test_an_open_ended_table_gains_columns_and_a_row_written_without_one_has_null_there(store: Store) -> None:
    store.upsert(FEATURES, features(2, rsi=1.0))
    store.upsert(FEATURES, features(1, adx=3.0))
    both = store.read(FEATURES)
    assert both.columns == ["market", "timeframe", "ts", "known_at", "rsi", "adx"]
    assert both.select("rsi", "adx").rows() == [(None, 3.0), (1.0, None)]
    assert store.read(FEATURES, columns=["ts", "adx"]).columns == ["ts", "adx"]
    with pytest.raises(StoreError, match="no column 'macd'"):
        store.read(FEATURES, columns=["ts", "macd"])


# properties

keys = st.tuples(st.sampled_from("AB"), st.sampled_from(["1m", "5m"]), st.integers(0, 12))
values = st.sampled_from([0.0, 1.0, float("nan"), float("inf"), None])
frames = st.dictionaries(keys, values, max_size=12)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), frames),
        st.tuples(st.just("replace"), st.sampled_from("AB"), st.integers(0, 12), st.integers(0, 12), frames),
    ),
    max_size=6,
)


def as_frame(rows: dict[tuple[str, str, int], float | None]) -> pl.DataFrame:
    table = [
        (market, timeframe, START + minute * MINUTE, *[value] * 5)
        for (market, timeframe, minute), value in rows.items()
    ]
    return pl.DataFrame(table, schema=CANDLE_COLUMNS, orient="row")


@on_hypertables_too
@examples(20)
@given(steps)
def test_any_sequence_of_writes_does_what_a_dictionary_would(lasting_store: Store, steps: list[tuple]) -> None:  # type: ignore[type-arg]
    lasting_store.replace(CANDLES, candles(0), where={})
    expected: dict[tuple[str, str, int], float | None] = {}
    for step in steps:
        if step[0] == "upsert":
            lasting_store.upsert(CANDLES, as_frame(step[1]))
            expected |= step[1]
        else:
            _, market, low, high, rows = step
            rows = {key: value for key, value in rows.items() if key[0] == market and low <= key[2] < high}
            start, end = START + low * MINUTE, START + high * MINUTE
            lasting_store.replace(CANDLES, as_frame(rows), where={"market": market}, start=start, end=end)
            expected = {k: v for k, v in expected.items() if not (k[0] == market and low <= k[2] < high)} | rows
    assert lasting_store.read(CANDLES).equals(as_frame(expected).sort(CANDLES.key))


@on_hypertables_too
@examples(10)
@given(st.integers(1, 400), st.lists(st.integers(0, 399), max_size=8))
def test_writing_in_any_chunks_gives_the_same_table_as_writing_at_once(
    lasting_store: Store, rows: int, cuts: list[int]
) -> None:
    lasting_store.replace(CANDLES, candles(0), where={})
    whole = candles(rows)
    edges = sorted({0, rows, *(cut for cut in cuts if cut < rows)})
    for low, high in itertools.pairwise(edges):
        lasting_store.upsert(CANDLES, whole[max(low - 3, 0) : high])  # chunks overlap, as a catch-up's pages do
    assert lasting_store.read(CANDLES).equals(whole)


# frames that do not fit


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (candles().drop("volume"), "no column 'volume'"),
        (candles().with_columns(extra=1.0), "unknown column 'extra'"),
        (candles().with_columns(pl.col("close").cast(pl.Float32)), "close is Float32, not Float64"),
        (candles().with_columns(pl.col("ts").dt.replace_time_zone(None)), "ts is Datetime.*not Datetime.*UTC"),
        (candles().with_columns(pl.col("ts").dt.cast_time_unit("ns")), "ts is Datetime.*'ns'"),
        (candles().with_columns(ts=pl.lit(None, TS)), "null in the key column 'ts'"),
        (candles().with_columns(market=None), "null in the key column 'market'"),
        (pl.concat([candles(), candles(1)]), "2 rows share their key, e.g. market=x:A/B, timeframe=1m, ts=2025-01-01"),
        (pl.concat([candles(2), candles(2, market="x:C/B"), candles(2)]), "4 rows share their key"),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused_with_the_reason(
    store: Store, frame: pl.DataFrame, message: str
) -> None:
    with pytest.raises(InvalidFrame, match=message):
        store.upsert(CANDLES, frame)
    with pytest.raises(InvalidFrame, match=message):
        store.replace(CANDLES, frame, where={})
    assert store.read(CANDLES).is_empty()


def test_an_open_ended_table_takes_float_columns_only(store: Store) -> None:
    with pytest.raises(InvalidFrame, match="regime is String, not Float64"):
        store.upsert(FEATURES, features().with_columns(regime=pl.lit("up")))
    with pytest.raises(InvalidFrame, match="differ in case only"):
        store.upsert(FEATURES, features(rsi=1.0, RSI=2.0))


@on_hypertables_too
def test_a_column_of_nothing_but_nulls_needs_no_type(store: Store) -> None:
    store.upsert(CANDLES, candles().with_columns(volume=None))
    assert store.read(CANDLES)["volume"].null_count() == 3


@examples(200)
@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("xy"), st.integers(0, 3)), max_size=8))
def test_a_frame_is_refused_exactly_if_a_key_stands_twice(
    lasting_store: Store, rows: list[tuple[str, str, int]]
) -> None:
    from trading_assets.store.frames import conform

    frame = pl.concat([as_frame({row: 1.0}) for row in rows]) if rows else as_frame({})
    if len(set(rows)) < len(rows):
        with pytest.raises(InvalidFrame, match="share their key"):
            conform(CANDLES, frame)
    else:
        assert conform(CANDLES, frame).equals(frame)


def test_wrong_filters_are_named(store: Store) -> None:
    with pytest.raises(StoreError, match="labels: no column 'model' to filter on"):
        store.read(LABELS, where={"model": "m"})
    with pytest.raises(StoreError, match="has no time zone"):
        store.read(LABELS, start=START.replace(tzinfo=None))
    with pytest.raises(StoreError, match="no time column"):
        store.read(BACKTEST_METRICS, start=START)


def test_an_address_of_no_engine_is_refused() -> None:
    for url in ("sqlite:///x.db", "duckdb:///", "market.duckdb"):
        with pytest.raises(StoreError, match=r"not the address of a store.*duckdb:///path"):
            open_store(url)


def test_a_table_that_nobody_declared_can_be_stored_too(store: Store) -> None:
    mine = Table("mine", "One thing.", {"name": pl.String, "value": pl.Int8}, ("name",), time="")
    frame = pl.DataFrame({"name": ["a"], "value": [1]}, schema=mine.columns)
    store.upsert(mine, frame)
    assert store.read(mine).equals(frame)
