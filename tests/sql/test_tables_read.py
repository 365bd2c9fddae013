"""Which tables a statement reads, whatever its parts are called: DuckDB itself says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import SqlModelError
from trading_assets.sql.statement import parse, tables_read

TABLES = ("candles", "fills", "orders", "trades")
NAMES = st.sampled_from([*TABLES, "part"])


def read(sql: str) -> set[str]:
    return set(tables_read(Path("x.sql"), sql, parse(Path("x.sql"), sql), TABLES))


@st.composite
def queries(draw: st.DrawFn, depth: int = 3) -> str:
    """Parts, each named like a table or not and each used, then tables, parts around it and queries within it."""
    parts = draw(st.lists(NAMES, max_size=2, unique=True)) if depth else []
    bodies = [(name, draw(queries(depth - 1))) for name in parts]
    keyword = "WITH " if parts else ""
    written = ", ".join(f"{draw(_cased(name))} AS ({body})" for name, body in bodies)
    sources = [*parts, *draw(st.lists(st.sampled_from(TABLES), min_size=not parts, max_size=2))]
    if depth and draw(st.booleans()):
        sources.append(f"({draw(queries(depth - 1))})")
    selects = [f"SELECT name FROM {draw(_cased(source))} AS s{place}" for place, source in enumerate(sources)]
    if depth and draw(st.booleans()):
        selects.append(f"SELECT name FROM range(1) JOIN candles ON name IN ({draw(queries(depth - 1))})")
    return f"{keyword}{written} {' UNION ALL '.join(selects)}"


def _cased(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.title()]) if name.isalpha() else st.just(name)


@cache
def database(tables: frozenset[str]) -> duckdb.DuckDBPyConnection:
    """These tables; each holds the names of all."""
    connection = duckdb.connect()
    for table in tables:
        connection.execute(f"CREATE TABLE {table} AS SELECT unnest({list(TABLES)}) AS name")
    return connection


def rows(sql: str, tables: set[str]) -> list[tuple[str]]:
    """What a statement gives where only these tables exist."""
    return sorted(database(frozenset(tables)).execute(sql).fetchall())


@pytest.mark.slow
@given(queries())
@examples(40)
def test_a_statement_runs_on_the_tables_that_it_reads_and_fails_without_any_of_them(sql: str) -> None:
    whole = rows(sql, set(TABLES))
    found = read(sql)
    assert rows(sql, found) == whole
    for table in found:
        with pytest.raises(duckdb.Error):
            rows(sql, found - {table})


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("WITH candles AS (SELECT * FROM candles) SELECT * FROM candles", {"candles"}),
        ("WITH candles AS (SELECT * FROM fills) SELECT * FROM Candles", {"fills"}),
        (
            "WITH part AS (SELECT * FROM orders), orders AS (SELECT * FROM fills) SELECT * FROM part",
            {"orders", "fills"},
        ),
        ("SELECT * FROM (WITH candles AS (SELECT 1) SELECT * FROM candles) x, candles", {"candles"}),
        (
            "WITH RECURSIVE candles AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM candles c) SELECT a FROM candles",
            set(),
        ),
    ],
)
def test_a_part_hides_a_table_of_its_name_where_it_is_visible(sql: str, tables: set[str]) -> None:
    assert read(sql) == tables


def test_a_part_is_not_there_before_it_is_made() -> None:
    with pytest.raises(SqlModelError, match="unknown table 'part'"):
        read("WITH fills AS (SELECT * FROM part), part AS (SELECT * FROM candles) SELECT * FROM fills")
