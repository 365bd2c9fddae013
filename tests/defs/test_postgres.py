"""The graph with everything in PostgreSQL: its tables, and what Dagster itself keeps."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml

from tests.defs.small import MONTHS, SYNA, Location, Undisturbed, assert_same_tables
from tests.servers import postgres_server
from trading_assets.settings import PROJECT_ROOT
from trading_assets.store import open_store
from trading_assets.store.postgres.store import PostgresStore


def test_a_market_s_months_give_the_same_tables_in_postgresql_with_dagster_s_storage_there_too(
    location: Location, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, runs = postgres_server().fresh_database(), postgres_server().fresh_database()
    monkeypatch.setenv("TRADING_STORE__URL", tables)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", runs)
    settings = location.settings(tmp_path)
    (result,) = location.launch.materialize_markets(settings, [SYNA], MONTHS[0], MONTHS[-1])
    assert result.success, result.failures
    store = open_store(settings.store_url)
    assert isinstance(store, PostgresStore)
    assert_same_tables(undisturbed.store, store, SYNA)

    assert location.launch.load_journal(settings).success
    instance = location.launch.open_instance(settings)
    assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
    with psycopg.connect(runs) as connection:
        stored = connection.execute("SELECT pipeline_name FROM runs ORDER BY 1").fetchall()
    assert stored == [("load_journal",), ("market_data",)]
    assert not (settings.data_dir / "dagster" / "history").exists()
    assert not (settings.data_dir / "market.duckdb").exists()


def test_the_two_instance_files_differ_in_the_storage_alone() -> None:
    one, other = (
        yaml.safe_load((PROJECT_ROOT / path).read_text()) for path in ("dagster.yaml", "deploy/postgres/dagster.yaml")
    )
    assert {key: value for key, value in one.items() if key != "storage"} == {
        key: value for key, value in other.items() if key != "storage"
    }
    assert other["storage"] == {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}
