"""Dagster's SQLite files, made in one piece and opened once for the length of a run.

Dagster opens and closes a file for every event, plans each of its statements anew, and waits for the disk at every
commit. A day of three markets has a hundred events, a year a thousand: they took longer than the candles. These
storages are Dagster's own in all but their connections, and write the same files, which the UI reads with its own ones.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.pool import NullPool

from trading_assets.core.atomic_files import write_file
from trading_assets.defs.lib.dagster_internals import (
    INDEX_SHARD_NAME,
    CompositeStorage,
    ConfigurableClassData,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
)

_RUNS: Final = "history"
_BUSY_S: Final = 30.0
"""How long a statement waits for another process's lock, as with Dagster's own connections."""

_lock: Final = threading.Lock()
_engines: Final[dict[str, Engine]] = {}
_runs: Final[set[str]] = set()


@contextmanager
def held_open(run_id: str) -> Iterator[None]:
    """Within the block, what the storages below open stays open; blocks of several threads may overlap.

    The last block that ends lets go of all files. SQLite then writes their logs back.
    """
    with _lock:
        _runs.add(run_id)
    try:
        yield
    finally:
        with _lock:
            _runs.discard(run_id)
            for address in [found for found in _engines if not _runs or found.endswith(f"/{run_id}.db")]:
                _engines.pop(address).dispose()


@contextmanager
def _kept(address: str, usual: AbstractContextManager[Connection]) -> Iterator[Connection]:
    """A transaction on a connection that stays open; the ``usual`` one where no run goes on."""
    with _lock:
        engine = _engines.get(address)
    if engine is not None:
        with engine.begin() as connection:
            yield connection
        return
    with usual as connection:  # also makes the file and its tables
        yield connection
    with _lock:
        if _runs and address not in _engines:
            _engines[address] = _engine(address)


def _engine(address: str) -> Engine:
    engine = create_engine(address, connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _do_not_wait_for_the_disk)
    return engine


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    """A killed program loses nothing, a power cut the last events at most: what was fetched is in the store."""
    connection.execute("PRAGMA synchronous=NORMAL")


def _never_wait_for_the_disk(connection: Any, _record: object) -> None:
    """For files that are made anew."""
    connection.execute("PRAGMA synchronous=OFF")


@contextmanager
def made_at_once(folder: Path) -> Iterator[None]:
    """Within the block, storages of a folder that has none yet make their files without waiting for the disk.

    A process killed meanwhile leaves files that the next one completes.
    """
    if (folder / _RUNS).exists():
        yield
        return
    event.listen(Engine, "connect", _never_wait_for_the_disk)
    try:
        yield
    finally:
        event.remove(Engine, "connect", _never_wait_for_the_disk)


def held_storage(folder: Path) -> dict[str, Any]:
    """The entry ``storage`` of an instance's settings that has it use the classes below for the files in a folder."""
    runs = folder / _RUNS
    storages = {
        "run_storage": (HeldRunStorage, runs),
        "event_log_storage": (HeldEventStorage, runs / "runs"),
        "schedule_storage": (SqliteScheduleStorage, folder / "schedules"),
    }
    config = {
        name: {
            "module_name": storage.__module__,
            "class_name": storage.__name__,
            "config_yaml": yaml.safe_dump({"base_dir": str(place)}),
        }
        for name, (storage, place) in storages.items()
    }
    return {"custom": {"module": CompositeStorage.__module__, "class": CompositeStorage.__name__, "config": config}}


class HeldRunStorage(SqliteRunStorage):
    """Dagster's file of runs."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> HeldRunStorage:
        """Open, and make where it is not there."""
        return cls.from_local(config_value["base_dir"], inst_data)

    def connect(self) -> AbstractContextManager[Connection]:  # type: ignore[override]
        """A transaction."""
        return _kept(self._conn_string, super().connect())


class HeldEventStorage(SqliteEventLogStorage):
    """Dagster's files of events: one per run, and one with what the UI asks of all runs."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> HeldEventStorage:
        """Open, and make where it is not there."""
        return cls(config_value["base_dir"], inst_data)

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Copy a run's new file to its place: Dagster makes its tables one by one, and waits for the disk each time."""
        file = Path(str(engine.url.database))
        if for_index_shard or file.exists():
            super()._initdb(engine, for_index_shard)
        else:
            write_file(file, self._tables)

    @cached_property
    def _tables(self) -> bytes:
        """A file of a run without events."""
        with TemporaryDirectory(prefix="trading-events-") as folder:
            file = Path(folder) / "events.db"
            engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
            event.listen(engine, "connect", _never_wait_for_the_disk)
            super()._initdb(engine)
            engine.dispose()
            return file.read_bytes()

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """A transaction on a run's file."""
        return _kept(self.conn_string_for_shard(str(run_id)), super().run_connection(run_id))

    def index_connection(self) -> AbstractContextManager[Connection]:
        """A transaction on the file of all runs."""
        return _kept(self.conn_string_for_shard(INDEX_SHARD_NAME), super().index_connection())

    def has_table(self, table_name: str) -> bool:
        """Whether the file of all runs has a table; asked for every materialization."""
        with self.index_connection() as connection:
            return bool(inspect(connection).has_table(table_name))
