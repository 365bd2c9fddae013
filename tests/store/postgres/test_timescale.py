"""What is particular to TimescaleDB: chunks, compression and the aggregate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.servers import timescale_server
from trading_assets.store import TABLES
from trading_assets.store.postgres.session import Session, opened
from trading_assets.store.postgres.store import PostgresStore
from trading_assets.store.postgres.timescale import DAILY, LONG
from trading_assets.store.tables import CANDLES, FEATURES

START = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ONE = {"market": "x:A/B", "timeframe": "1m"}


def candles(first: int, minutes: int, close: float = 1.0, step: int = 1) -> pl.DataFrame:
    begin = START + first * MINUTE
    ts = pl.datetime_range(
        begin, begin + minutes * step * MINUTE, step * MINUTE, closed="left", time_unit="us", eager=True
    )
    prices = {column: pl.lit(close) for column in ("open", "high", "low", "close", "volume")}
    return pl.DataFrame({"ts": ts}).select(market=pl.lit("x:A/B"), timeframe=pl.lit("1m"), ts="ts", **prices)


@pytest.fixture
def store() -> PostgresStore:
    return PostgresStore(timescale_server().fresh_database(), 30)


def facts(store: PostgresStore, sql: str) -> list[tuple[object, ...]]:
    with opened(store.url, timeout_s=300) as session:
        return session.fetch(sql).rows()


def compress_all(session: Session) -> int:
    return session.fetch(
        "SELECT compress_chunk(c, if_not_compressed => true)::text FROM show_chunks('candles') c"
    ).height


def test_the_long_tables_are_hypertables_with_weekly_chunks_compressed_after_a_month(store: PostgresStore) -> None:
    done = store.prepare(TABLES.values())
    assert [line for line in done if "made" in line] == [
        f"made the table {name}" for name in sorted(TABLES) if not TABLES[name].on_demand
    ]
    assert store.prepare(TABLES.values()) == []
    chunked = facts(
        store,
        "SELECT hypertable_name::text, extract(epoch FROM time_interval)::float8 / 86400, column_name::text "
        "FROM timescaledb_information.dimensions WHERE hypertable_schema = current_schema() ORDER BY 1",
    )
    assert chunked == [(name, 7.0, "ts") for name in sorted(table.name for table in LONG)]
    policies = facts(
        store,
        "SELECT hypertable_name::text, config ->> 'compress_after' FROM timescaledb_information.jobs "
        "WHERE proc_name = 'policy_compression' AND hypertable_schema = current_schema() ORDER BY 1",
    )
    assert policies == [(name, "30 days") for name in sorted(table.name for table in LONG)]
    segments = facts(
        store,
        "SELECT attname::text, segmentby_column_index, orderby_column_index "
        "FROM timescaledb_information.compression_settings "
        "WHERE hypertable_name = 'candles' AND hypertable_schema = current_schema() ORDER BY 2, 3",
    )
    assert segments == [("market", 1, None), ("timeframe", 2, None), ("ts", None, 1)]


def test_three_weeks_lie_in_four_chunks_and_compressed_ones_take_writes(store: PostgresStore) -> None:
    store.upsert(CANDLES, candles(0, 21 * 24, step=60))
    with opened(store.url, timeout_s=300) as session:
        assert compress_all(session) == 4  # chunks begin on Thursdays
    before = store.read(CANDLES)
    store.upsert(CANDLES, before)
    assert store.read(CANDLES).equals(before)
    revised = candles(10 * 60, 5, close=2.0, step=60)
    between = candles(30, 3, close=3.0, step=60)
    store.upsert(CANDLES, pl.concat([revised, between]).sort("ts"))
    rows = store.read(CANDLES)
    assert rows.filter(pl.col("close") == 2.0)["ts"].to_list() == revised["ts"].to_list()
    assert rows.filter(pl.col("close") == 3.0)["ts"].to_list() == between["ts"].to_list()
    assert len(rows) == len(before) + 3
    week = {"start": START + timedelta(days=7), "end": START + timedelta(days=14)}
    store.replace(CANDLES, candles(7 * 1440, 2, close=4.0), where=ONE, **week)
    assert store.read(CANDLES, where=ONE, **week)["close"].to_list() == [4.0, 4.0]
    assert len(store.read(CANDLES)) == len(before) + 3 - 7 * 24 + 2


def test_a_compressed_table_takes_columns_of_new_features(store: PostgresStore) -> None:
    bars = candles(0, 3).select("market", "timeframe", "ts", known_at="ts")
    store.upsert(FEATURES, bars.with_columns(rsi=pl.lit(1.0)))
    facts(store, "SELECT compress_chunk(c)::text FROM show_chunks('features') c")
    store.upsert(FEATURES, bars.head(1).with_columns(adx=pl.lit(2.0)))
    assert store.read(FEATURES).select("rsi", "adx").rows() == [(None, 2.0), (1.0, None), (1.0, None)]


def test_the_daily_aggregate_says_what_the_candles_say(store: PostgresStore) -> None:
    days = [candles(day * 1440, 4, close=float(day + 1)) for day in range(3)]
    store.upsert(CANDLES, pl.concat(days))
    daily = f"SELECT ts, open, volume, candles FROM {DAILY} ORDER BY ts"
    expected = [(START + timedelta(days=day), day + 1.0, 4.0 * (day + 1), 4) for day in range(3)]
    assert facts(store, daily) == expected
    with opened(store.url, timeout_s=300) as session:
        session.connection.adbc_connection.set_autocommit(True)
        session.run(f"CALL refresh_continuous_aggregate('{DAILY}', NULL, NULL)")
        session.connection.adbc_connection.set_autocommit(False)
    assert facts(store, daily) == expected


def test_a_plain_table_becomes_a_hypertable_with_its_rows_when_the_extension_comes_later(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setattr("trading_assets.store.postgres.timescale.is_present", lambda _: False)
        store.upsert(CANDLES, candles(0, 10))
    done = store.prepare([CANDLES])
    assert done[0] == "candles: a hypertable with chunks of 7 days"
    assert store.read(CANDLES).equals(candles(0, 10))
