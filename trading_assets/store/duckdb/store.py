"""The embedded engine: one DuckDB file, one writer at a time, connections held only for the call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, cast

import duckdb
import polars as pl

from trading_assets.core.errors import StoreError
from trading_assets.settings import from_root
from trading_assets.store.duckdb import database_file
from trading_assets.store.duckdb.tables import create_temporary, fit, grow, stored_columns
from trading_assets.store.frames import Reading, check_inside, completed, conform, empty, wanted_columns
from trading_assets.store.statements import Condition, listed, matching, named_in, near, one_select, quoted, relation
from trading_assets.store.tables import TABLES, Table

_SCHEME: Final = "duckdb:///"
_FORMS: Final = "write duckdb:///path or postgresql://user@host/database"
_POSITION: Final = "__position"
_STORED: Final = "__stored"


@dataclass(frozen=True, slots=True)
class DuckDBStore:
    """A :class:`~trading_assets.store.contract.Store` in one DuckDB file.

    DuckDB lets one process write, or many read. Every call therefore opens the file for itself, waits (bounded) while
    another process or thread holds it, and lets go of it at once; within :meth:`kept_open`, once another one waits.
    Reads open it read-only.

    Tables have no primary-key index: it would make writes five times slower. Keys are unique because every write goes
    through :meth:`upsert` or :meth:`replace`, alone, in one transaction.

    Attributes
    ----------
    path
        The file; created with all tables at the first write.
    lock_timeout_s
        How long a call waits for the file.
    """

    path: Path
    lock_timeout_s: float = 60.0

    @classmethod
    def from_url(cls, url: str, *, lock_timeout_s: float = 60.0) -> Self:
        """Read ``duckdb:///path``; a relative path starts at the project's folder.

        Raises
        ------
        StoreError
            If the URL names another engine or no file.
        """
        if not url.startswith(_SCHEME) or not url.removeprefix(_SCHEME).strip("/"):
            raise StoreError(f"{url!r} is not the address of a store", where="store.url", remedy=_FORMS)
        return cls(from_root(url.removeprefix(_SCHEME)), lock_timeout_s)

    def upsert(self, table: Table, frame: pl.DataFrame) -> int:
        """Insert rows, replacing those with the same key; rows that are stored already write nothing."""
        return self.upsert_together([(table, frame)])

    def upsert_together(self, parts: Sequence[tuple[Table, pl.DataFrame]]) -> int:
        """Upsert into several tables in one transaction."""
        parts = [(table, conform(table, frame)) for table, frame in parts if len(frame)]
        if parts:
            with self._writing(*parts) as connection:
                for table, frame in parts:
                    _write(connection, table, frame, near(table, frame), keep_others=True)
        return sum(len(frame) for _, frame in parts)

    def replace(
        self,
        table: Table,
        frame: pl.DataFrame,
        *,
        where: Mapping[str, str | int],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> int:
        """Make ``frame`` the only rows with ``where`` and ``start <= table.time < end``."""
        frame = conform(table, frame)
        scope = matching(table, where, start, end)
        check_inside(table, frame, where, start, end)
        if len(frame) or self.path.exists():
            with self._writing((table, frame)) as connection:
                _write(connection, table, frame, scope, keep_others=False)
        return len(frame)

    def replace_together(self, parts: Sequence[tuple[Table, pl.DataFrame]], *, where: Mapping[str, str | int]) -> int:
        """Make each frame the only rows of its table with ``where``, all tables in one transaction."""
        parts = [(table, conform(table, frame)) for table, frame in parts]
        for table, frame in parts:
            check_inside(table, frame, where, None, None)
        with self._writing(*parts) as connection:
            for table, frame in parts:
                _write(connection, table, frame, matching(table, where, None, None), keep_others=False)
        return sum(len(frame) for _, frame in parts)

    def read(
        self,
        table: Table,
        *,
        where: Mapping[str, str | int | Sequence[str]] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows with ``where`` and ``start <= table.time < end``, sorted by the key."""
        condition = matching(table, where, start, end)
        with self._reading() as connection:
            stored = stored_columns(connection, table)
            if not stored:
                return empty(table, wanted_columns(table, stored, columns))
            plan = Reading.of(table, stored, where, columns)
            sql = f"SELECT {listed(plan.fetched)} FROM {relation(table)} WHERE {condition}"
            frame = _fetch(connection, sql, condition)
        return plan.finished(frame)

    def tail(self, table: Table, *, where: Mapping[str, str | int], before: datetime, rows: int) -> pl.DataFrame:
        """The last ``rows`` rows with ``where`` and ``table.time < before``, in ascending order."""
        condition = matching(table, where, end=before)
        with self._reading() as connection:
            stored = stored_columns(connection, table)
            wanted = wanted_columns(table, stored, None)
            if not stored:
                return empty(table, wanted)
            fetched = [column for column in wanted if column in stored]
            newest = f"ORDER BY {quoted(table.time)} DESC LIMIT {int(rows)}"
            frame = _fetch(
                connection, f"SELECT {listed(fetched)} FROM {relation(table)} WHERE {condition} {newest}", condition
            )
        return completed(table, frame.sort(table.time), wanted, {})

    def bounds(
        self, table: Table, *, where: Mapping[str, str | int | Sequence[str]] | None = None
    ) -> tuple[datetime, datetime] | None:
        """The oldest and the newest ``table.time`` of the rows with ``where``; None where there are none."""
        condition = matching(table, where)
        with self._reading() as connection:
            if not stored_columns(connection, table):
                return None
            time = quoted(table.time)
            span = _fetch(
                connection,
                f"SELECT min({time}) AS oldest, max({time}) AS newest FROM {relation(table)} WHERE {condition}",
                condition,
            )
        oldest, newest = span.row(0)
        return None if oldest is None else (oldest, newest)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run one SELECT in DuckDB's dialect with ``$name`` parameters; a table never written is empty."""
        with self._reading() as connection:
            create_temporary(connection, named_in(sql, TABLES.values()))
            return _rows(connection, one_select(sql), dict(parameters or {}))

    def prepare(self, tables: Iterable[Table]) -> list[str]:
        """Create the file and what is missing of the tables."""
        with database_file.opened(self.path, write=True, timeout_s=self.lock_timeout_s) as connection:
            return [line for table in tables for line in grow(connection, table)]

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Open the file once for the calls of the block; another process that waits for it goes first."""
        with database_file.kept_open(self.path):
            yield

    def close(self) -> None:
        """Nothing to release: no connection outlives its call or the block that keeps the file open."""

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with database_file.opened(self.path, write=False, timeout_s=self.lock_timeout_s) as connection:
            yield connection

    @contextmanager
    def _writing(self, *parts: tuple[Table, pl.DataFrame]) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction in which the tables exist with all columns of their frames."""
        with database_file.opened(self.path, write=True, timeout_s=self.lock_timeout_s) as connection:
            stored = [stored_columns(connection, table) for table, _ in parts]
            connection.begin()
            for (table, frame), columns in zip(parts, stored, strict=True):
                fit(connection, table, frame, columns)
            yield connection
            connection.commit()


def _write(
    connection: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame, scope: Condition, *, keep_others: bool
) -> None:
    """Store the rows of the frame that the table lacks, and delete those of the scope that they replace.

    ``keep_others`` keeps the rows of the scope whose key the frame does not have.
    """
    name = quoted(table.name)
    found = connection.execute(f"SELECT 1 FROM {name} WHERE {scope} LIMIT 1", scope.parameters).fetchone()
    if found is not None:
        changes = _changes(connection, table, frame, scope, keep_others=keep_others)
        stale = changes.select(pl.col(_STORED).drop_nulls())
        fresh = changes[_POSITION].drop_nulls().sort()
        if len(stale):
            connection.register("_stale", stale.to_arrow())
            connection.execute(
                f"DELETE FROM {name} WHERE {scope} AND rowid IN (SELECT {_STORED} FROM _stale)", scope.parameters
            )
        if len(fresh) < len(frame):
            frame = frame[fresh]
    if len(frame):
        connection.register("_fresh", frame.to_arrow())
        connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM _fresh")


def _changes(
    connection: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame, scope: Condition, *, keep_others: bool
) -> pl.DataFrame:
    """Where the frame and the stored rows of the scope differ: position in the frame, row id in the table."""
    keys = " AND ".join(f"i.{quoted(column)} = s.{quoted(column)}" for column in table.key)
    values = [column for column in stored_columns(connection, table) if column not in table.key]
    differs = [
        f"i.{quoted(column)} IS DISTINCT FROM s.{quoted(column)}"
        if column in frame.columns
        else f"s.{quoted(column)} IS NOT NULL"
        for column in values
    ]
    connection.register("_incoming", frame.with_row_index(_POSITION).to_arrow())
    sql = f"""
        SELECT i.{_POSITION}, s.rowid AS {_STORED}
        FROM _incoming AS i
        {"LEFT" if keep_others else "FULL"} JOIN (SELECT rowid, * FROM {quoted(table.name)} WHERE {scope}) AS s
        ON {keys}
        WHERE {" OR ".join([f"i.{_POSITION} IS NULL", "s.rowid IS NULL", *differs])}
    """
    return _fetch(connection, sql, scope)


def _fetch(connection: duckdb.DuckDBPyConnection, sql: str, condition: Condition) -> pl.DataFrame:
    return _rows(connection, sql, condition.parameters)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any) -> pl.DataFrame:
    """All rows; nothing of the result outlives this call, which would keep the file open after its lock."""
    return cast("pl.DataFrame", pl.from_arrow(connection.sql(sql, params=parameters).to_arrow_table()))
