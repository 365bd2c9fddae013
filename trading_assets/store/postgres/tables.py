"""The tables inside a PostgreSQL database: created from their declaration, grown where it grew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

from trading_assets.core.errors import StoreError
from trading_assets.store.frames import changes, empty
from trading_assets.store.postgres import timescale
from trading_assets.store.postgres.session import Session
from trading_assets.store.statements import listed, literal, quoted
from trading_assets.store.tables import CANDLES, Schema, Table

_TYPES: Final[dict[pl.DataType, str]] = {
    pl.String(): "text",
    pl.Datetime("us", "UTC"): "timestamp with time zone",
    pl.Float64(): "double precision",
    pl.List(pl.Float64): "double precision[]",
    pl.Int8(): "smallint",
    pl.Int32(): "integer",
    pl.Int64(): "bigint",
    pl.UInt64(): "numeric(20,0)",
    pl.Boolean(): "boolean",
}
_GROWING: Final = 0x7472_6164_65
"""The number of the lock under which tables are made and changed ("trade")."""


def stored_columns(session: Session, table: Table) -> dict[str, str]:
    """Column -> PostgreSQL type, as the database has them; empty where the table was never created.

    Of a view the declared ones, once there is what it reads.
    """
    if table.view:
        there = stored_columns(session, CANDLES)
        return {column: _sql_type(dtype) for column, dtype in table.columns.items()} if there else {}
    columns = session.fetch(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        f"WHERE attnum > 0 AND NOT attisdropped AND attrelid = to_regclass({literal(quoted(table.name))}) "
        "ORDER BY attnum"
    )
    return dict(columns.rows())


def fit(session: Session, table: Table, frame: pl.DataFrame) -> dict[str, str]:
    """Make the table fit its declaration and the frame; returns its columns.

    Raises
    ------
    StoreError
        If a stored column has another type than its declaration, or a new column is part of the key and did not join.
    """
    stored = stored_columns(session, table)
    wanted: Schema = {**frame.schema, **table.columns}
    if stored.keys() >= wanted.keys():
        _check_types(table, wanted, stored)
        return stored
    _wait_for_others(session)
    stored = stored_columns(session, table)
    if not stored:
        create(session, table)
        stored = stored_columns(session, table)
    due = {c: t for c, t in wanted.items() if c in stored or (c in table.key and c not in table.joined)}
    _check_types(table, due, stored)
    added = [column for column in wanted if column not in stored]
    new_key = any(column in table.joined for column in added)
    compressed = new_key and timescale.decompress(session, table)
    if added:
        additions = ", ".join(
            f"ADD COLUMN {_column(column, wanted[column])}{_there(table, column)}" for column in added
        )
        session.run(f"ALTER TABLE {quoted(table.name)} {additions}")
    if new_key:
        _new_key(session, table)
    if compressed:
        timescale.compress(session, table)
    return {**stored, **{column: _sql_type(wanted[column]) for column in added}}


def grow(session: Session, table: Table) -> list[str]:
    """Make the table fit its declaration, and long ones hypertables; returns what had to be done.

    One made on demand is left to its first write.
    """
    _wait_for_others(session)
    before = stored_columns(session, table)
    if table.view or (table.on_demand and not before):
        return []
    after = fit(session, table, empty(table))
    done = changes(table, before, after)
    if before and timescale.is_present(session):
        done += timescale.convert(session, table)
    return done


def create(session: Session, table: Table) -> None:
    """Create the table, with its key and what it means as comments; a hypertable where the server has Timescale."""
    name = quoted(table.name)
    columns = ", ".join(_column(column, dtype) for column, dtype in table.columns.items())
    session.run(f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({listed(table.key)}))")
    session.run(f"COMMENT ON TABLE {name} IS {literal(f'{table.row} Key: {", ".join(table.key)}.')}")
    for column, note in table.notes.items():
        session.run(f"COMMENT ON COLUMN {name}.{quoted(column)} IS {literal(note)}")
    if timescale.is_present(session):
        timescale.convert(session, table)


def create_temporary(session: Session, tables: Iterable[Table]) -> None:
    """Empty stand-ins, for this session only, for tables that the database does not have."""
    for table in tables:
        if table.view:
            session.run(f"CREATE TEMPORARY VIEW {quoted(table.name)} AS {table.view}")
        elif not stored_columns(session, table):
            columns = ", ".join(_column(column, dtype) for column, dtype in table.columns.items())
            session.run(f"CREATE TEMPORARY TABLE {quoted(table.name)} ({columns}) ON COMMIT DROP")


def create_stage(session: Session, name: str, frame: pl.DataFrame) -> None:
    """An empty table for the frame, for this transaction only."""
    columns = ", ".join(_column(column, dtype) for column, dtype in frame.schema.items())
    session.run(f"CREATE TEMPORARY TABLE {quoted(name)} ({columns}) ON COMMIT DROP")


def _wait_for_others(session: Session) -> None:
    """Be the only one that makes or changes tables, until the transaction ends."""
    session.fetch(f"SELECT 1 FROM pg_advisory_xact_lock({_GROWING})")


def _there(table: Table, column: str) -> str:
    """What the rows of an older layout have in a column that joined."""
    if column not in table.joined:
        return ""
    value = table.joined[column]
    return f" NOT NULL DEFAULT {literal(value) if isinstance(value, str) else value}"


def _new_key(session: Session, table: Table) -> None:
    """Make the declared key the table's own."""
    name = quoted(table.name)
    before = session.fetch(
        f"SELECT conname::text FROM pg_constraint WHERE contype = 'p' AND conrelid = to_regclass({literal(name)})"
    )
    dropped = "".join(f"DROP CONSTRAINT {quoted(constraint)}, " for (constraint,) in before.iter_rows())
    session.run(f"ALTER TABLE {name} {dropped}ADD PRIMARY KEY ({listed(table.key)})")


def _check_types(table: Table, wanted: Schema, stored: dict[str, str]) -> None:
    for column, dtype in wanted.items():
        if stored.get(column) != _sql_type(dtype):
            found = stored.get(column, "absent")
            raise StoreError(
                f"another version made the table {table.name}: {column} is {found}, not {_sql_type(dtype)}",
                remedy=f"drop the table ({quoted(table.name)}) in the store and materialize it again",
            )


def _column(name: str, dtype: pl.DataType | type[pl.DataType]) -> str:
    # text in the order of its bytes: the order that Polars has, and faster than a language's
    collation = ' COLLATE "C"' if dtype == pl.String else ""
    return f"{quoted(name)} {_sql_type(dtype)}{collation}"


def _sql_type(dtype: pl.DataType | type[pl.DataType]) -> str:
    return _TYPES[dtype() if isinstance(dtype, type) else dtype]
