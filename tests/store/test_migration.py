"""Stores that older versions of the software made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from trading_assets.core.errors import StoreError
from trading_assets.store import Store, open_store
from trading_assets.store import backup as backups
from trading_assets.store.duckdb.store import DuckDBStore
from trading_assets.store.migration import LAYOUT, LAYOUTS, backtests_get_their_version, layout_of, migrate, up_to_date
from trading_assets.store.tables import (
    BACKTEST_METRICS,
    EQUITY,
    FEATURE_IMPORTANCE,
    FEATURES,
    FOLDS,
    LABELS,
    PREDICTIONS,
    SIGNALS,
    TABLES,
    TRADES,
    TRIAL_RETURNS,
    Table,
)
from trading_assets.store.transfer import copy

START = datetime(2025, 1, 1, tzinfo=UTC)
TRADED = (TRADES, EQUITY, BACKTEST_METRICS)
DECIDED = (FEATURES, LABELS, PREDICTIONS, FOLDS, FEATURE_IMPORTANCE, SIGNALS)
"""What says its timeframe, label set or side since layout 3."""


def of_layout_1(table: Table) -> Table:
    """The declaration before backtests were kept by version."""
    return replace(
        table,
        columns={name: dtype for name, dtype in table.columns.items() if name not in table.joined},
        key=tuple(name for name in table.key if name not in table.joined),
        joined={},
        notes={},
    )


def row(table: Table, **values: object) -> pl.DataFrame:
    filled = {
        name: values.get(name, START if dtype == EQUITY.columns["ts"] else 1) for name, dtype in table.columns.items()
    }
    texts = {name: str(filled[name]) for name, dtype in table.columns.items() if dtype == pl.String}
    filled |= texts | {name: True for name, dtype in table.columns.items() if dtype == pl.Boolean}
    return pl.DataFrame({name: [value] for name, value in filled.items()}, schema=table.columns)


def without(store: Store, *tables: Table) -> None:
    """A new DuckDB file has all tables of today."""
    if isinstance(store, DuckDBStore):
        store.prepare(tables)
        with duckdb.connect(store.path) as connection:
            for table in tables:
                connection.execute(f"DROP TABLE {table.name}")


@pytest.fixture
def old(store: Store) -> Store:
    """Two models: one was traded as version 3, of the other nobody knows the version."""
    without(store, *TRADED)
    for table in map(of_layout_1, TRADED):
        store.upsert(table, pl.concat(row(table, model=model) for model in ("known", "unknown")))
    trials = [row(TRIAL_RETURNS, model="known", version=version, markets="x:A/B") for version in (2, 3)]
    store.upsert(TRIAL_RETURNS, pl.concat(trials))
    store.upsert(LAYOUTS, pl.DataFrame({"layout": [1], "since": [START]}, schema=LAYOUTS.columns))
    return store


def versions(store: Store, table: Table) -> Mapping[str, list[int]]:
    frame = store.read(table).group_by("model").agg(pl.col("version").sort())
    return dict(frame.iter_rows())


def test_backtests_from_before_versions_were_kept_get_the_one_that_was_traded(old: Store) -> None:
    with pytest.raises(StoreError, match=r"older layout: no column 'version'; run trading store migrate"):
        old.read(TRADES, where={"model": "known", "version": 3})
    done = migrate(old)
    assert "trades: added version" in done
    assert "backtest of known: version 3" in done
    for table in TRADED:
        assert versions(old, table) == {"known": [3], "unknown": [0]}
        old.upsert(table, row(table, model="known", version=4))
        assert versions(old, table)["known"] == [3, 4], "the key has the version"
        old.replace(table, row(table, model="known", version=4), where={"model": "known", "version": 4})
        assert versions(old, table)["known"] == [3, 4], "another version's rows stay"
    assert migrate(old) == []
    assert layout_of(up_to_date(old)) == LAYOUT


def test_a_write_before_the_migration_loses_nothing(old: Store) -> None:
    for table in TRADED:
        old.upsert(table, row(table, model="known", version=4))
        assert versions(old, table) == {"known": [0, 4], "unknown": [0]}
    assert backtests_get_their_version(old) == ["backtest of known: version 3"]
    assert versions(old, TRADES) == {"known": [3, 4], "unknown": [0]}


def test_an_old_store_is_copied_into_a_new_one(old: Store, tmp_path: Path) -> None:
    target = open_store(f"duckdb:///{tmp_path / 'target.duckdb'}")
    backups.back_up(old, tmp_path / "backup", TABLES.values())
    for table in TRADED:
        assert old.read(table)["version"].to_list() == [0, 0], "what an older store does not have is filled in"
    for _ in range(2):
        copied = list(copy(backups.Backup.open(tmp_path / "backup"), target, TABLES.values()))
        assert sum(one.rows for one in copied) == 8
        assert versions(target, EQUITY) == {"known": [3], "unknown": [0]}


def of_layout_2(table: Table) -> Table:
    """The declaration before decisions said their timeframe, set and side; labels had a side, outside of the key."""
    kept = {"side"} if table is LABELS else set()
    lacking = table.joined.keys() - kept
    columns = {name: dtype for name, dtype in table.columns.items() if name not in lacking}
    return replace(
        table, columns=columns, key=tuple(name for name in table.key if name not in table.joined), joined={}, notes={}
    )


@pytest.fixture
def one_sided(store: Store) -> Store:
    """A store of 15-minute bars and long trades."""
    without(store, *DECIDED)
    for table in DECIDED:
        made = row(of_layout_2(table), market="x:A/B", model="m")
        store.upsert(of_layout_2(table), made.with_columns(rsi=pl.lit(0.5)) if table is FEATURES else made)
    store.upsert(LAYOUTS, pl.DataFrame({"layout": [2], "since": [START]}, schema=LAYOUTS.columns))
    return store


def test_decisions_of_before_are_of_quarters_and_long(one_sided: Store) -> None:
    before = {table.name: one_sided.read(table) for table in DECIDED}
    done = migrate(one_sided)
    for table in DECIDED:
        meant = before[table.name]
        assert meant.select(*table.joined).row(0, named=True) == table.joined, "also before the migration"
        assert any(line.startswith(f"{table.name}: added") for line in done)
        assert one_sided.read(table).equals(meant)
        assert one_sided.read(table, where=dict(table.joined)).equals(meant)
        one_sided.upsert(table, _of_another(meant, table))
        rows = 1 if table is SIGNALS else 2
        assert one_sided.read(table).height == rows, "the key has what joined; a signal's is the node's number"
    assert migrate(one_sided) == []
    assert layout_of(one_sided) == LAYOUT == 3


def _of_another(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The same of another timeframe, set and side."""
    other = {"15m": "1h", "default": "swing", 1: -1}
    return rows.with_columns(
        pl.lit(other[value], table.columns[name]).alias(name) for name, value in table.joined.items()
    )


def test_a_write_of_today_into_a_store_of_before_keeps_what_was_there(one_sided: Store) -> None:
    for table in DECIDED:
        meant = one_sided.read(table)
        one_sided.upsert(table, meant)
        assert one_sided.read(table).equals(meant), "the same row, not a second one"


def test_a_backup_of_before_is_restored_as_what_it_means(one_sided: Store, tmp_path: Path) -> None:
    backups.back_up(one_sided, tmp_path / "backup", TABLES.values())
    target = open_store(f"duckdb:///{tmp_path / 'target.duckdb'}")
    assert list(copy(backups.Backup.open(tmp_path / "backup"), target, TABLES.values()))
    for table in DECIDED:
        assert target.read(table).equals(one_sided.read(table))
