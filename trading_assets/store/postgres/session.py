"""A session with a PostgreSQL server: opened in time or not at all, and errors in plain words, without passwords."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import adbc_driver_manager as manager
import adbc_driver_manager.dbapi as dbapi
import adbc_driver_postgresql
import polars as pl
import pyarrow as pa

from trading_assets.core.errors import StoreError

SCHEMES: Final = ("postgresql", "postgres")
CLASHES: Final = ("40P01", "40001")
"""SQLSTATE of what the server undid because two transactions waited for each other: to be done again."""

_LOCK_TIMEOUT: Final = "55P03"
_FORBIDDEN: Final = "42501"
_READ_ONLY: Final = "25006"
_FULL: Final = ("53100", "53200", "54000")
_CONNECT_TIMEOUT_S: Final = 10
_PAUSE_S: Final = 0.2
_FOR_A_MOMENT: Final = re.compile("starting up|too many clients|connection slots|recovery mode", re.IGNORECASE)
_UINT64: Final = str((20 << 16) + 4)
"""The type modifier of ``numeric(20, 0)``, which holds a UInt64."""

_UNREACHABLE: Final = (
    ("password authentication failed", "the server refused the password", "check the user and password in store.url"),
    ("no password supplied", "the server wants a password", "write postgresql://user:password@host/database"),
    (r"role \S+ does not exist", "the server does not know the user", "create it, or name another in store.url"),
    (r"database \S+ does not exist", "the server has no such database", "create it with createdb"),
    ("could not translate host name", "no host of that name", "check the host in store.url"),
    ("Connection refused|No such file", "no server answers there", "start it, or check host and port in store.url"),
    ("timeout expired", f"no answer within {_CONNECT_TIMEOUT_S} s", "check host, port and firewall"),
    ("too many clients|connection slots", "the server has no connection left", "raise its max_connections"),
    ("no pg_hba.conf entry", "the server lets nobody in from here", "add a line for this host to its pg_hba.conf"),
)


_LARGE_BATCHES: Final = {"adbc.postgresql.batch_size_hint_bytes": str(1 << 26)}
"""A million rows in two batches instead of eight: a read is 7 % faster."""


@dataclass(frozen=True, slots=True)
class Session:
    """One connection within one transaction."""

    connection: dbapi.Connection

    def run(self, sql: str) -> int:
        """Execute one statement; returns the number of rows that it touched, -1 where the server does not say."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.rowcount)

    def fetch(self, sql: str) -> pl.DataFrame:
        """The rows of a SELECT, brought by COPY in binary."""
        with self.connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**_LARGE_BATCHES)
            cursor.execute(sql)
            return cast("pl.DataFrame", pl.from_arrow(_plain(cursor.fetch_arrow_table())))

    def copy_in(self, name: str, frame: pl.DataFrame) -> None:
        """Append the frame to a temporary table of this session by COPY in binary."""
        wide = [column for column, dtype in frame.schema.items() if dtype == pl.UInt64]
        frame = frame.with_columns(pl.col(wide).cast(pl.Decimal(20, 0)))
        with self.connection.cursor() as cursor:
            cursor.adbc_ingest(name, frame.to_arrow(), mode="append", temporary=True)


@contextmanager
def opened(url: str, *, timeout_s: float) -> Iterator[Session]:
    """A session for the length of the block; the transaction is committed at its end, or undone where it fails.

    Times are UTC, and no statement waits for a lock longer than ``timeout_s``.

    Raises
    ------
    StoreError
        If the server cannot be reached, refuses the login or a statement, or somebody holds a table for too long.
    """
    try:
        connection = _connect(url, time.monotonic() + timeout_s)
        try:
            session = Session(connection)
            session.fetch(
                "SELECT set_config('TimeZone', 'UTC', false) || set_config('client_min_messages', 'error', false) || "
                f"set_config('lock_timeout', '{max(int(timeout_s * 1000), 1)}ms', false) || "
                # an upsert may touch any number of rows that are compressed already
                "set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', false) || "
                f"set_config('application_name', 'trading, process {os.getpid()}', false)"
            )
            yield session
            connection.commit()
        finally:
            connection.close()
    except manager.Error as error:
        raise _explained(url, error, timeout_s) from error


def public(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    query = {name: values for name, values in parse_qs(parts.query).items() if name not in {"password", "sslpassword"}}
    return urlunsplit(parts._replace(netloc=login.partition(":")[0] + at + host, query=urlencode(query, doseq=True)))


def sqlstate(error: BaseException | None) -> str | None:
    """The server's five-letter code of an error, where it gave one."""
    return error.sqlstate if isinstance(error, manager.Error) else None


class _Shared:
    """What a connection believes to be its database: closing it leaves the shared one open."""

    def close(self) -> None:
        """Do nothing."""


@lru_cache(maxsize=8)
def _database(url: str) -> manager.AdbcDatabase:
    """What the driver learns about the server's types, once per process: a tenth of the time to connect remains."""
    parts = urlsplit(url)
    query = {"connect_timeout": [str(_CONNECT_TIMEOUT_S)], **parse_qs(parts.query)}
    uri = urlunsplit(parts._replace(query=urlencode(query, doseq=True)))
    database: manager.AdbcDatabase = adbc_driver_postgresql.connect(uri)
    return database


def _connect(url: str, deadline: float) -> dbapi.Connection:
    while True:
        try:
            return dbapi.Connection(cast("manager.AdbcDatabase", _Shared()), manager.AdbcConnection(_database(url)))
        except manager.OperationalError as error:
            if not _FOR_A_MOMENT.search(str(error)) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def _plain(table: pa.Table) -> pa.Table:
    """Numbers of any length come as text: those of a UInt64 column become one, all others floating-point."""
    for position, field in enumerate(table.schema):
        if not isinstance(field.type, pa.BaseExtensionType):
            continue
        metadata = field.metadata or {}
        text = pa.chunked_array([chunk.storage for chunk in table.column(position).chunks], pa.string())
        if field.type.type_name == "numeric":
            text = text.cast(pa.uint64() if metadata.get(b"POSTGRESQL:typmod") == _UINT64.encode() else pa.float64())
        table = table.set_column(position, field.name, text)
    return table


def _explained(url: str, error: manager.Error, timeout_s: float) -> StoreError:
    place, code = public(url), sqlstate(error)
    details = dict(error.details or ())
    message = _text(details.get("PG_DIAG_MESSAGE_PRIMARY")) or re.sub(r"^[A-Z_]+: (\[\w+\] )?", "", str(error).strip())
    if code is None:
        for sign, what, remedy in _UNREACHABLE:
            if re.search(sign, message):
                return StoreError(what, where=place, remedy=remedy)
    message = message.partition("ERROR:")[2].strip() or message
    message = message.splitlines()[0]
    if code == _LOCK_TIMEOUT:
        return StoreError(
            f"held by {_holders(url)} for longer than {timeout_s:g} s",
            where=place,
            remedy="let it end, or raise store.lock_timeout_s",
        )
    if code == _READ_ONLY:
        return StoreError(message, where=place, remedy="a query only reads; writes need the primary server")
    if code == _FORBIDDEN:
        return StoreError(message, where=place, remedy="grant the right to the user of store.url")
    if code in _FULL:
        return StoreError(message, where=place, remedy="make room on the server")
    if code is None or code.startswith(("08", "57P")):
        return StoreError(
            f"the connection was lost ({message}); nothing of the call was stored",
            where=place,
            remedy="see whether the server runs, then run it again",
        )
    return StoreError(f"the store refused a statement: {message}", where=place)


def _holders(url: str) -> str:
    """Who keeps locks on tables at this moment, other than readers."""
    sql = """
        SELECT DISTINCT activity.pid, activity.application_name AS program
        FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
        WHERE granted AND locktype IN ('relation', 'advisory') AND mode NOT IN ('AccessShareLock', 'RowShareLock')
          AND datname = current_database() AND pid <> pg_backend_pid()
        ORDER BY 1 LIMIT 3
    """
    try:
        with opened(url, timeout_s=1) as session:
            found = session.fetch(sql).rows()
    except StoreError:
        found = []
    return ", ".join(f"connection {pid} ({program or 'unnamed'})" for pid, program in found) or "another connection"


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
