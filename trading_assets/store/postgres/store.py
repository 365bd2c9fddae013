"""The server engine: PostgreSQL, with or without Timescale; many writers and readers, all writes through COPY."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

import polars as pl

from trading_assets.core.errors import StoreError
from trading_assets.store.frames import Reading, check_inside, completed, conform, empty, wanted_columns
from trading_assets.store.postgres.dialect import to_postgres
from trading_assets.store.postgres.session import CLASHES, SCHEMES, Session, opened, public, sqlstate
from trading_assets.store.postgres.tables import create_stage, create_temporary, fit, grow, stored_columns
from trading_assets.store.statements import listed, literal, matching, named_in, one_select, quoted, relation
from trading_assets.store.tables import TABLES, Table

_STAGE: Final = "_stage"


@dataclass(frozen=True, slots=True, repr=False)
class PostgresStore:
    """A :class:`~trading_assets.store.contract.Store` in one schema of a PostgreSQL database.

    Every call has a connection and a transaction of its own. A frame comes by binary COPY into a temporary table and
    is merged from there in one statement, in the order of its key; rows that are stored already write nothing.
    Upserts run side by side. A replace keeps other writers (never readers) out of its table while it merges: what it
    may not leave behind includes rows that another writer has not committed yet.

    Attributes
    ----------
    url
        ``postgresql://user:password@host:port/database``, with whatever libpq takes after ``?``.
    lock_timeout_s
        How long a call waits for others that hold what it needs.
    """

    url: str
    lock_timeout_s: float = 60.0

    @classmethod
    def from_url(cls, url: str, *, lock_timeout_s: float = 60.0) -> Self:
        """Check the address; nothing is connected yet.

        Raises
        ------
        StoreError
            If the URL names another engine or no database.
        """
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.path.strip("/"):
            raise StoreError(
                f"{public(url)!r} names no database",
                where="store.url",
                remedy="write postgresql://user:password@host/database",
            )
        return cls(url, lock_timeout_s)

    def upsert(self, table: Table, frame: pl.DataFrame) -> int:
        """Insert rows, replacing those with the same key; rows that are stored already write nothing."""
        frame = conform(table, frame)
        if len(frame):
            self._write(lambda session: _merge(session, table, frame, _STAGE))
        return len(frame)

    def upsert_together(self, parts: Sequence[tuple[Table, pl.DataFrame]]) -> int:
        """Upsert into several tables in one transaction."""
        parts = _in_order(parts)

        def merge_all(session: Session) -> None:
            for number, (table, frame) in enumerate(parts):
                _merge(session, table, frame, f"{_STAGE}_{number}")

        self._write(merge_all)
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
        scope = matching(table, where, start, end).inlined()
        check_inside(table, frame, where, start, end)
        self._write(lambda session: _merge(session, table, frame, _STAGE, only=scope))
        return len(frame)

    def replace_together(self, parts: Sequence[tuple[Table, pl.DataFrame]], *, where: Mapping[str, str | int]) -> int:
        """Make each frame the only rows of its table with ``where``, all tables in one transaction."""
        parts = _in_order(parts)
        for table, frame in parts:
            check_inside(table, frame, where, None, None)

        def merge_all(session: Session) -> None:
            for number, (table, frame) in enumerate(parts):
                _merge(session, table, frame, f"{_STAGE}_{number}", only=matching(table, where, None, None).inlined())

        self._write(merge_all)
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
        condition = matching(table, where, start, end).inlined()
        with opened(self.url, timeout_s=self.lock_timeout_s) as session:
            stored = stored_columns(session, table)
            if not stored:
                return empty(table, wanted_columns(table, stored, columns))
            plan = Reading.of(table, stored, where, columns)
            frame = session.fetch(f"SELECT {listed(plan.fetched)} FROM {relation(table)} WHERE {condition}")
        return plan.finished(_declared(table, frame))

    def tail(self, table: Table, *, where: Mapping[str, str | int], before: datetime, rows: int) -> pl.DataFrame:
        """The last ``rows`` rows with ``where`` and ``table.time < before``, in ascending order."""
        condition = matching(table, where, end=before).inlined()
        with opened(self.url, timeout_s=self.lock_timeout_s) as session:
            stored = stored_columns(session, table)
            wanted = wanted_columns(table, stored, None)
            if not stored:
                return empty(table, wanted)
            fetched = listed(column for column in wanted if column in stored)
            newest = f"ORDER BY {quoted(table.time)} DESC LIMIT {int(rows)}"
            frame = session.fetch(f"SELECT {fetched} FROM {relation(table)} WHERE {condition} {newest}")
        return completed(table, _declared(table, frame).sort(table.time), wanted, {})

    def bounds(
        self, table: Table, *, where: Mapping[str, str | int | Sequence[str]] | None = None
    ) -> tuple[datetime, datetime] | None:
        """The oldest and the newest ``table.time`` of the rows with ``where``; None where there are none."""
        condition = matching(table, where).inlined()
        time_column = quoted(table.time)
        with opened(self.url, timeout_s=self.lock_timeout_s) as session:
            if not stored_columns(session, table):
                return None
            extremes = f"SELECT min({time_column}) AS oldest, max({time_column}) AS newest"
            oldest, newest = session.fetch(f"{extremes} FROM {relation(table)} WHERE {condition}").row(0)
        return None if oldest is None else (oldest, newest)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run one SELECT in DuckDB's dialect with ``$name`` parameters; a table never written is empty.

        Numbers of any length (``numeric``) come as Float64: cast where the type matters.
        """
        text = to_postgres(one_select(sql))
        try:
            text %= {name: literal(value) for name, value in (parameters or {}).items()}
        except KeyError as error:
            raise StoreError(f"no value for the parameter ${error.args[0]}", where=sql.strip()[:80]) from None
        with opened(self.url, timeout_s=self.lock_timeout_s) as session:
            create_temporary(session, named_in(sql, TABLES.values()))
            session.run("SET TRANSACTION READ ONLY")
            return session.fetch(text)

    def prepare(self, tables: Iterable[Table]) -> list[str]:
        """Create what is missing of the tables; make the long ones hypertables where the server has Timescale."""
        done: list[str] = []
        tables = sorted(tables, key=lambda table: table.name)

        def grow_all(session: Session) -> None:
            done[:] = [line for table in tables for line in grow(session, table)]

        self._write(grow_all)
        return done

    def kept_open(self) -> AbstractContextManager[None]:
        """Nothing to keep: connecting is cheap beside a call."""
        return nullcontext()

    def close(self) -> None:
        """Nothing is held between calls."""

    def __repr__(self) -> str:
        return f"PostgresStore({public(self.url)!r})"

    def _write(self, work: Callable[[Session], None]) -> None:
        """Do the work in one transaction; again, until the time is up, where the server undid it for another's sake."""
        deadline = time.monotonic() + self.lock_timeout_s
        while True:
            try:
                with opened(self.url, timeout_s=self.lock_timeout_s) as session:
                    work(session)
                return
            except StoreError as error:
                if sqlstate(error.__cause__) not in CLASHES or time.monotonic() > deadline:
                    raise


def _in_order(parts: Sequence[tuple[Table, pl.DataFrame]]) -> list[tuple[Table, pl.DataFrame]]:
    """The frames checked, in the one order in which every call locks tables."""
    return sorted(((table, conform(table, frame)) for table, frame in parts), key=lambda part: part[0].name)


def _merge(session: Session, table: Table, frame: pl.DataFrame, stage: str, *, only: str | None = None) -> None:
    """Make the frame's rows those of the table; ``only`` is the condition within which no others stay."""
    stored = fit(session, table, frame)
    name, keys = quoted(table.name), listed(table.key)
    if len(frame):
        create_stage(session, stage, frame)
        session.copy_in(stage, frame.sort(table.key))
    if only is not None:
        session.run(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        same = " AND ".join(f"s.{quoted(column)} = {name}.{quoted(column)}" for column in table.key)
        others = f" AND NOT EXISTS (SELECT 1 FROM {quoted(stage)} AS s WHERE {same})" if len(frame) else ""
        session.run(f"DELETE FROM {name} WHERE {only}{others}")
    if len(frame):
        session.run(
            f"INSERT INTO {name} ({listed(frame.columns)}) SELECT {listed(frame.columns)} FROM {quoted(stage)} "
            f"ON CONFLICT ({keys}) DO {_update(table, [c for c in stored if c not in table.key])}"
        )


def _update(table: Table, values: Sequence[str]) -> str:
    if not values:
        return "NOTHING"
    assignments = ", ".join(f"{quoted(column)} = excluded.{quoted(column)}" for column in values)
    old, new = listed(values, of=quoted(table.name)), listed(values, of="excluded")
    return f"UPDATE SET {assignments} WHERE ({old}) IS DISTINCT FROM ({new})"


def _declared(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the declared types: PostgreSQL has no one-byte integers."""
    return frame.cast({c: t for c, t in table.columns.items() if c in frame.columns and frame.schema[c] != t})
