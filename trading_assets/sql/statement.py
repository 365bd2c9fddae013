"""Reading one statement: its tables, parameters and columns, and what is wrong with it, with file and line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.core.errors import SqlModelError
from trading_assets.store import TABLES

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer import Scope


def parse(path: Path, sql: str) -> exp.Query:
    """Read a text that is a single SELECT.

    Raises
    ------
    SqlModelError
        With file and line, if it is not.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement is not None]
    except SqlglotError as error:
        line, what = syntax_error(sql) or (1, str(error).splitlines()[0])
        raise SqlModelError(what, where=f"{path}:{line}", remedy="mend the SQL (DuckDB's dialect)") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise SqlModelError("not one SELECT", where=place(path, sql, 0), remedy="a model is a single SELECT statement")
    return statements[0]


def syntax_error(sql: str) -> tuple[int, str] | None:
    """Line and message of DuckDB's own parser: sqlglot's line numbers drift, and it names its classes."""
    import duckdb

    try:
        duckdb.extract_statements(sql)
    except duckdb.Error as error:
        line = re.search(r"^LINE (\d+):", str(error), re.MULTILINE)
        return int(line[1]) if line else 1, str(error).splitlines()[0].removeprefix("Parser Error: ")
    return None


def tables_read(path: Path, sql: str, select: exp.Query, known: Collection[str]) -> tuple[str, ...]:
    """The tables that a statement reads, sorted.

    A part of the statement (``WITH name AS``) hides a table of its name where the part is visible, and there alone: not
    within itself, not in the parts before it, not outside of the query that it belongs to.

    Raises
    ------
    SqlModelError
        If one is not among ``known``.
    """
    from sqlglot import exp
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
    from sqlglot.optimizer.scope import Scope, traverse_scope

    lower = normalize_identifiers(select.copy(), dialect="duckdb")  # names differ in more than case
    parts = {
        id(table)
        for scope in traverse_scope(lower)
        for table in scope.tables
        if isinstance(scope.sources.get(table.alias_or_name), Scope)
    }
    found = set()
    for table in lower.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or id(table) in parts:
            continue  # a function such as range(), or a part of this statement
        wanted = f"{table.db}.{table.name}" if table.db else table.name
        if wanted not in known:
            raise SqlModelError(
                f"unknown table {wanted!r}",
                where=place(path, sql, table.this.meta.get("start", 0)),
                remedy="declare it in trading_assets/store/tables/ or add a model of that name",
            )
        found.add(wanted)
    return tuple(sorted(found))


def check_columns(path: Path, sql: str, select: exp.Query) -> None:
    """Look up every column that the statement names.

    Raises
    ------
    SqlModelError
        With the line of the first that no table, no part of the statement and no alias has, or several tables.
    """
    from sqlglot.optimizer.scope import traverse_scope

    for scope in traverse_scope(select):
        own = _own_names(scope)
        for column in scope.columns:
            name, table = column.name.lower(), column.table.lower()
            if name in own and not table:
                continue
            known = _visible(scope, table)
            where = place(path, sql, column.this.meta.get("start", 0))
            if known is not None and not any(name in columns for columns in known.values()):
                there = listed(sorted(set().union(*known.values())))
                raise SqlModelError(f"unknown column {column.sql('duckdb')!r}", where=where, remedy=f"there is {there}")
            owners = [one for one, columns in (known or {}).items() if name in columns]
            if len(owners) > 1 and not table:
                raise SqlModelError(
                    f"{column.name!r} is a column of {' and of '.join(owners)}",
                    where=where,
                    remedy="name the table before the column",
                )


def _own_names(scope: Scope) -> set[str]:
    """The names that a part of a statement gives itself, and those that USING makes one."""
    from sqlglot import exp

    aliases = {column.alias.lower() for column in scope.expression.find_all(exp.Alias)}
    joins = scope.expression.args.get("joins") or []
    return aliases | {name.name.lower() for join in joins for name in join.args.get("using") or ()}


def _visible(scope: Scope, table: str) -> dict[str, set[str]] | None:
    """Source -> columns that a part of a statement may name; None where they cannot be told."""
    found: dict[str, set[str]] = {}
    around: Scope | None = scope
    while around is not None and not found:
        for name, (_, source) in around.selected_sources.items():
            columns = _columns_of(source)
            if not table or name.lower() == table:
                if columns is None:
                    return None
                found[name] = columns
        if found and not table and scope.is_correlated_subquery:
            return None  # the column may belong to what is around it
        around = around.parent
    return found


def _columns_of(source: exp.Expr | Scope) -> set[str] | None:
    """The columns of a table or of a part of the statement; None where they cannot be told."""
    from sqlglot import exp
    from sqlglot.optimizer import Scope

    if isinstance(source, Scope):
        query = source.expression
        named = source.outer_columns or (query.named_selects if isinstance(query, exp.Query) else [])
        if not named:
            return None
        if "*" not in named:
            return {name.lower() for name in named}
        inner = [_columns_of(one) for one in source.sources.values()]
        return None if None in inner else {name.lower() for name in named}.union(*(one for one in inner if one))
    if not isinstance(source, exp.Table) or source.name.lower() not in TABLES or source.args.get("pivots"):
        return None
    table = TABLES[source.name.lower()]
    return None if table.open_ended else {name.lower() for name in table.columns}


def check_result(name: str, path: Path, sql: str, columns: Collection[str]) -> None:
    """Compare a model's columns with those of its table.

    Raises
    ------
    SqlModelError
        If there is no such table, or it has others.
    """
    where = place(path, sql, max(sql.lower().rfind("select"), 0))
    if name not in TABLES:
        raise SqlModelError(
            f"no table {name!r} for its rows", where=where, remedy="declare it in trading_assets/store/tables/"
        )
    wanted = TABLES[name].columns
    if sorted(columns) != sorted(wanted):
        raise SqlModelError(
            f"returns {listed(columns)}",
            where=where,
            remedy=f"the table {name} has {listed(wanted)}: name each column of the last SELECT so",
        )


def place(path: Path, sql: str, offset: int) -> str:
    """File and line of a position in its text."""
    return f"{path}:{sql.count('\n', 0, max(offset, 0)) + 1}"


def listed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(names) or "none"
