"""The files of runs are made in one piece, and are Dagster's own in all that its webserver reads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import Engine, event

from trading_assets.launch import sqlite_files
from trading_assets.launch.sqlite_files import HeldEventStorage, made_at_once


def described(file: Path) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        asked = (
            "SELECT type, name, sql FROM sqlite_master ORDER BY name",
            "PRAGMA journal_mode",
            "SELECT * FROM alembic_version",
            "SELECT count(*) FROM event_logs",
        )
        return [connection.execute(one).fetchall() for one in asked]


def test_the_file_of_a_run_is_the_one_that_dagster_makes(tmp_path: Path) -> None:
    for folder, storage in (("theirs", SqliteEventLogStorage), ("ours", HeldEventStorage)):
        made = storage(str(tmp_path / folder))
        for run in ("one", "two"):
            with made.run_connection(run):
                pass
    for run in ("one", "two"):
        assert described(tmp_path / "ours" / f"{run}.db") == described(tmp_path / "theirs" / f"{run}.db")


def test_dagsters_statements_make_the_tables_once_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    usual = SqliteEventLogStorage._initdb

    def counted(self: Any, engine: Engine, *args: Any, **options: Any) -> None:
        made.append(str(engine.url.database))
        usual(self, engine, *args, **options)

    monkeypatch.setattr(SqliteEventLogStorage, "_initdb", counted)
    storage = HeldEventStorage(str(tmp_path))
    for run in ("one", "two", "three"):
        with storage.run_connection(run):
            pass
    assert len({file for file in made if not file.endswith("index.db")}) == 1, "the one that is copied"


def test_only_a_folder_without_runs_is_made_without_waiting_for_the_disk(tmp_path: Path) -> None:
    def hurried() -> bool:
        return event.contains(Engine, "connect", sqlite_files._never_wait_for_the_disk)

    with made_at_once(tmp_path):
        assert hurried()
    assert not hurried()
    (tmp_path / "history").mkdir()
    with made_at_once(tmp_path):
        assert not hurried()
