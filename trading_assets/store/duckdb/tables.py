"""The tables inside a DuckDB file: created from their declaration, grown where it grew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb
import polars as pl

from trading_assets.core.errors import StoreError
from trading_assets.store.frames import changes, empty
from trading_assets.store.statements import listed, quoted, relation
from trading_assets.store.tables import Schema, Table

_TYPES: Final[dict[pl.DataType, str]] = {
    pl.String(): "VARCHAR",
    pl.Datetime("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
    pl.Float64(): "DOUBLE",
    pl.List(pl.Float64): "DOUBLE[]",
    pl.Int8(): "TINYINT",
    pl.Int32(): "INTEGER",
    pl.Int64(): "BIGINT",
    pl.UInt64(): "UBIGINT",
    pl.Boolean(): "BOOLEAN",
}


def create(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Create the table, with what it means as comments."""
    name = quoted(table.name)
    connection.execute(f"CREATE TABLE {name} ({_definition(table)})")
    connection.execute(f"COMMENT ON TABLE {name} IS {_text(f'{table.row} Key: {", ".join(table.key)}.')}")
    for column, note in table.notes.items():
        connection.execute(f"COMMENT ON COLUMN {name}.{quoted(column)} IS {_text(note)}")


def create_temporary(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Empty stand-ins, for this connection only, for tables that the file does not have."""
    for table in tables:
        if table.view:
            connection.execute(f"CREATE OR REPLACE TEMPORARY VIEW {quoted(table.name)} AS {table.view}")
        elif not stored_columns(connection, table):
            connection.execute(f"CREATE TEMPORARY TABLE {quoted(table.name)} ({_definition(table)})")


def stored_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    """Column -> DuckDB type, as the file has them; empty where the table was never created.

    Not for a table that may be absent inside a transaction: the failed look-up would abort it. (The catalogue's views
    would not, but they take 20 ms on a new connection.)
    """
    try:
        nothing = connection.execute(f"SELECT * FROM {relation(table)} LIMIT 0")
    except duckdb.CatalogException:
        return {}
    return {str(name): str(dtype) for name, dtype, *_ in nothing.description or ()}


def fit(connection: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame, stored: dict[str, str]) -> None:
    """Make the table, of which ``stored`` is in the file, fit its declaration and the frame.

    Raises
    ------
    StoreError
        If a stored column has another type than its declaration, or a new column is part of the key and did not join.
    """
    if not stored:
        create(connection, table)
        stored = stored_columns(connection, table)
    wanted: Schema = {**frame.schema, **table.columns}
    for column, dtype in wanted.items():
        if column not in stored and (column not in table.key or column in table.joined):
            there = f" DEFAULT {_literal(table.joined[column])}" if column in table.joined else ""
            connection.execute(
                f"ALTER TABLE {quoted(table.name)} ADD COLUMN {quoted(column)} {_sql_type(dtype)}{there}"
            )
        elif stored.get(column) != _sql_type(dtype):
            found = stored.get(column, "absent")
            raise StoreError(
                f"another version made the table {table.name}: {column} is {found}, not {_sql_type(dtype)}",
                remedy=f"drop the table ({quoted(table.name)}) in the store and materialize it again",
            )


def grow(connection: duckdb.DuckDBPyConnection, table: Table) -> list[str]:
    """Make the table fit its declaration, unless it is left to its first write; returns what had to be done."""
    before = stored_columns(connection, table)
    if table.view or (table.on_demand and not before):
        return []
    fit(connection, table, empty(table), before)
    return changes(table, before, stored_columns(connection, table))


def _definition(table: Table) -> str:
    return ", ".join(
        f"{listed([column])} {_sql_type(dtype)}{' NOT NULL' if column in table.key else ''}"
        for column, dtype in table.columns.items()
    )


def _sql_type(dtype: pl.DataType | type[pl.DataType]) -> str:
    return _TYPES[dtype() if isinstance(dtype, type) else dtype]


def _literal(value: int | str) -> str:
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
