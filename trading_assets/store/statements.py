"""SQL text that every engine understands: quoted names, ``$name`` parameters, conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from trading_assets.core.errors import StoreError
from trading_assets.store.tables import Table


def quoted(name: str) -> str:
    """A name as an SQL identifier: some columns are reserved words (``return``)."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Iterable[str], *, of: str = "") -> str:
    """Names as a select list, each with its table's alias if one is given."""
    prefix = f"{of}." if of else ""
    return ", ".join(prefix + quoted(name) for name in names)


def relation(table: Table) -> str:
    """Where a SELECT finds a table's rows."""
    return f"({table.view}) AS {quoted(table.name)}" if table.view else quoted(table.name)


def named_in(sql: str, tables: Iterable[Table]) -> list[Table]:
    """The tables whose names stand in a statement, and those that views among them read; in the order given."""
    known, text = list(tables), sql.lower()
    text += "".join(table.view.lower() for table in known if table.view and table.name in text)
    return [table for table in known if table.name in text]


def literal(value: object) -> str:
    """A value as an SQL literal.

    Raises
    ------
    StoreError
        If the value has a type that no column has, or a time without a zone.
    """
    if value is None or isinstance(value, bool):
        return "NULL" if value is None else str(value).upper()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE PRECISION)"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return f"CAST('{value.isoformat()}' AS TIMESTAMP WITH TIME ZONE)"
    raise StoreError(f"{value!r} cannot stand in a statement", remedy="pass text, numbers or times with a time zone")


def one_select(sql: str) -> str:
    """The statement itself, if it is one SELECT (a WITH, a VALUES or a DESCRIBE is one too).

    A store's query only reads: a ``COPY ... TO`` would write a file, and two statements would show the last alone.

    Raises
    ------
    StoreError
        If there is no statement, more than one, or one of another kind. A syntax error is left to the engine, which
        points at it.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.ParserException:
        return sql
    remedy = "write one SELECT; docs/reference/tables.md lists the tables"
    if not statements:
        raise StoreError("the query is empty", remedy=remedy)
    if len(statements) > 1:
        raise StoreError(f"{len(statements)} statements where one is expected", where=_begin(sql), remedy=remedy)
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise StoreError(f"{kind.name} is not a SELECT, and a query only reads", where=_begin(sql), remedy=remedy)
    return sql


def _begin(sql: str, length: int = 60) -> str:
    words = " ".join(sql.split())
    return words if len(words) <= length else f"{words[: length - 3]}..."


@dataclass(slots=True)
class Condition:
    """Terms joined by AND, and the values of their parameters."""

    terms: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    def add(self, column: str, operator: str, value: object) -> None:
        """Add ``column operator value``."""
        self.terms.append(f"{quoted(column)} {operator} {self._parameter(value)}")

    def add_any_of(self, column: str, values: Sequence[object]) -> None:
        """Add ``column IN (values)``; no values match nothing."""
        options = ", ".join(self._parameter(value) for value in values)
        self.terms.append(f"{quoted(column)} IN ({options})" if values else "FALSE")

    def _parameter(self, value: object) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def inlined(self) -> str:
        """The condition with its values in place of the parameters, for engines that plan by them."""
        return re.sub(r"\$(p\d+)", lambda name: literal(self.parameters[name[1]]), str(self))

    def __str__(self) -> str:
        return " AND ".join(self.terms) or "TRUE"


def matching(
    table: Table,
    where: Mapping[str, str | int | Sequence[str]] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Condition:
    """The condition of a window: ``where`` and ``start <= table.time < end``."""
    condition = Condition()
    for column, value in (where or {}).items():
        if column not in table.columns:
            raise StoreError(f"no column {column!r} to filter on", where=table.name)
        if isinstance(value, str | int):
            condition.add(column, "=", value)
        else:
            condition.add_any_of(column, value)
    for bound, operator in ((start, ">="), (end, "<")):
        if bound is None:
            continue
        if not table.time:
            raise StoreError("the table has no time column", where=table.name, remedy="leave start and end out")
        if bound.tzinfo is None:
            raise StoreError(f"{bound} has no time zone", where=table.name, remedy="times are UTC")
        condition.add(table.time, operator, bound)
    return condition


def near(table: Table, frame: pl.DataFrame) -> Condition:
    """The bounds of the frame's keys.

    Every stored row with a key of the frame matches. So few others do that a write costs the same however long the
    stored history is: the engine skips the blocks (or chunks) that lie outside.
    """
    condition = Condition()
    for column in table.key:
        low, high = frame[column].min(), frame[column].max()
        if low == high:
            condition.add(column, "=", low)
        elif table.columns[column] != pl.String:  # engines differ in how they order text
            condition.add(column, ">=", low)
            condition.add(column, "<=", high)
    return condition
