"""A store of the version before on TimescaleDB, whose chunks are compressed, gets the keys of today."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.servers import timescale_server
from trading_assets.store.migration import LAYOUT, LAYOUTS, layout_of, migrate
from trading_assets.store.postgres import timescale
from trading_assets.store.postgres.session import opened
from trading_assets.store.postgres.store import PostgresStore
from trading_assets.store.tables import FEATURES

START = datetime(2025, 1, 1, tzinfo=UTC)
BEFORE = replace(
    FEATURES,
    columns={name: dtype for name, dtype in FEATURES.columns.items() if name not in FEATURES.joined},
    key=("market", "ts"),
    joined={},
)
"""The declaration before features said their timeframe."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> PostgresStore:
    store = PostgresStore(timescale_server().fresh_database(), 30)
    with monkeypatch.context() as patched:
        patched.setattr(timescale, "LONG", (BEFORE,))
        rows = rows_of(range(0, 28 * 24, 2))
        store.upsert(BEFORE, rows)
    store.upsert(LAYOUTS, pl.DataFrame({"layout": [2], "since": [START]}, schema=LAYOUTS.columns))
    facts(store, "SELECT compress_chunk(c)::text FROM show_chunks('features') c")
    return store


def rows_of(hours: range) -> pl.DataFrame:
    ts = pl.Series("ts", [START + timedelta(hours=hour) for hour in hours], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"market": ["x:A/B"] * len(ts), "ts": ts, "known_at": ts}).with_columns(rsi=pl.lit(0.5))


def facts(store: PostgresStore, sql: str) -> list[tuple[object, ...]]:
    with opened(store.url, timeout_s=300) as session:
        return session.fetch(sql).rows()


def compressed(store: PostgresStore) -> list[bool]:
    return [
        bool(one)
        for (one,) in facts(
            store,
            "SELECT is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'features' "
            "AND hypertable_schema = current_schema() ORDER BY range_start",
        )
    ]


def test_compressed_features_get_their_timeframe_and_are_compressed_again(store: PostgresStore) -> None:
    assert compressed(store) == [True] * 5
    meant = store.read(FEATURES)
    done = migrate(store)
    assert "features: added timeframe" in done
    assert store.read(FEATURES).equals(meant)
    store.upsert(FEATURES, meant.head(3).with_columns(timeframe=pl.lit("1h")))
    assert store.read(FEATURES).height == meant.height + 3, "the key has the timeframe"
    segments = facts(
        store,
        "SELECT attname::text FROM timescaledb_information.compression_settings WHERE hypertable_name = 'features' "
        "AND hypertable_schema = current_schema() AND segmentby_column_index IS NOT NULL ORDER BY 1",
    )
    assert segments == [("market",), ("timeframe",)]
    policies = facts(
        store,
        "SELECT count(*)::int FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression' "
        "AND hypertable_name = 'features' AND hypertable_schema = current_schema()",
    )
    assert policies == [(1,)]
    facts(store, "SELECT compress_chunk(c, if_not_compressed => true)::text FROM show_chunks('features') c")
    assert store.read(FEATURES).height == meant.height + 3
    assert migrate(store) == []
    assert layout_of(store) == LAYOUT
