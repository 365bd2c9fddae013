"""From DuckDB's dialect, in which every statement is written, to PostgreSQL's.

sqlglot translates most of it by itself. What it leaves to the engine, and a plain PostgreSQL does not know, is
rewritten here; Timescale's own functions are not used, so that one text runs on both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from trading_assets.errors import StoreError

if TYPE_CHECKING:
    from sqlglot import exp

_ORIGIN: Final = "TIMESTAMPTZ '2000-01-03 00:00:00+00'"
"""Where DuckDB's ``time_bucket`` begins to count buckets shorter than a month."""

_UNITS: Final = {f"to_{unit}": unit for unit in ("seconds", "minutes", "hours", "days", "weeks")}
_MARK: Final = re.compile("\x01(\\w+)\x02")


@lru_cache(maxsize=512)
def to_postgres(sql: str) -> str:
    """Translate one statement.

    ``$name`` parameters become psycopg's ``%(name)s``, and every other ``%`` is doubled: give the result to
    ``execute`` with a mapping, be it an empty one.

    Parameters
    ----------
    sql
        One statement in DuckDB's dialect.

    Returns
    -------
    str
        The same statement for PostgreSQL 14 or newer, with or without Timescale.

    Raises
    ------
    StoreError
        If the statement cannot be read, or uses something that PostgreSQL cannot say.
    """
    import sqlglot
    from sqlglot.errors import ErrorLevel, SqlglotError

    try:
        statement = sqlglot.parse_one(sql, dialect="duckdb")
        text = _rewritten(statement).sql("postgres", comments=False, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise StoreError(
            f"no PostgreSQL for this statement: {str(error).splitlines()[0]}",
            where=_shortened(sql),
            remedy="write it so that both engines understand it (docs/decisions)",
        ) from error
    return _MARK.sub(r"%(\1)s", text.replace("%", "%%"))


def _shortened(sql: str) -> str:
    return next((line for line in sql.splitlines() if line.strip() and not line.startswith("--")), sql)[:80]


def _rewritten(statement: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    for select in statement.find_all(exp.Select):
        _name_all(select)
    for node in reversed(list(statement.walk())):  # what is inside comes first: a rewritten part is not looked at again
        rewritten = _rewrite(node)
        if rewritten is not node:
            node.replace(rewritten)
    return statement


def _name_all(select: exp.Select) -> None:
    """Spell out ``GROUP BY ALL`` and ``ORDER BY ALL``."""
    from sqlglot import exp

    group, order = select.args.get("group"), select.args.get("order")
    if group is not None and group.args.get("all"):
        plain = [number for number, column in enumerate(select.expressions, 1) if not _aggregates(column)]
        select.set("group", exp.Group(expressions=[exp.Literal.number(number) for number in plain]) if plain else None)
    if order is not None and [column.name.upper() for column in order.expressions] == ["ALL"]:
        numbers = range(1, len(select.expressions) + 1)
        select.set("order", exp.Order(expressions=[exp.Ordered(this=exp.Literal.number(n)) for n in numbers]))


def _aggregates(column: exp.Expr) -> bool:
    from sqlglot import exp

    return any(not isinstance(found.parent, exp.Window) for found in column.find_all(exp.AggFunc))


def _rewrite(node: exp.Expr) -> exp.Expr:
    """One construct in PostgreSQL's words."""
    from sqlglot import exp

    rewrite = _rules().get(type(node))
    if rewrite is not None:
        return rewrite(node)
    if isinstance(node, exp.Anonymous):
        return _function(node)
    return node


@lru_cache(maxsize=1)
def _rules() -> dict[type[exp.Expr], Callable[[Any], exp.Expr]]:
    from sqlglot import exp

    return {
        exp.Placeholder: lambda node: exp.Var(this=f"\x01{node.name}\x02"),
        exp.DateBin: _date_bin,
        exp.Filter: _filtered_extreme,
        exp.ArgMin: _extreme,
        exp.ArgMax: _extreme,
        exp.CountIf: lambda node: _template("count(*) FILTER (WHERE {condition})", condition=node.this),
        exp.Star: _star,
        exp.IntDiv: lambda node: _template("CAST(div({a}, {b}) AS BIGINT)", a=node.this, b=node.expression),
        exp.IsNan: lambda node: _template("{a} = CAST('NaN' AS DOUBLE PRECISION)", a=node.this),
        exp.IsInf: lambda node: _template("abs({a}) = CAST('Infinity' AS DOUBLE PRECISION)", a=node.this),
        exp.Explode: _unnest,
    }


def _template(sql: str, **parts: exp.Expr) -> exp.Expr:
    """PostgreSQL text with expressions in its ``{places}``."""
    import sqlglot
    from sqlglot import exp

    marks = {name: f"__{name}__" for name in parts}
    tree = sqlglot.parse_one(sql.format(**marks), dialect="postgres")
    found = {mark: parts[name] for name, mark in marks.items()}
    return exp.Paren(
        this=tree.transform(lambda node: found[node.name].copy() if isinstance(node, exp.Column) else node)
    )


def _date_bin(node: exp.Expr) -> exp.Expr:
    import sqlglot
    from sqlglot import exp

    width = node.this
    if isinstance(width, exp.Interval) and str(width.unit).upper().rstrip("S") in {"MONTH", "QUARTER", "YEAR"}:
        return exp.TimestampTrunc(this=node.expression, unit=width.unit)
    if node.args.get("origin") is None and node.args.get("zone") is None:
        node.set("origin", sqlglot.parse_one(_ORIGIN, dialect="postgres"))
    return node


def _filtered_extreme(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    extreme = isinstance(node.this, exp.ArgMin | exp.ArgMax)
    return _first_value(node.this, condition=node.expression.this) if extreme else node


def _extreme(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    return node if isinstance(node.parent, exp.Filter) else _first_value(node)


def _first_value(node: exp.Expr, **condition: exp.Expr) -> exp.Expr:
    """``arg_min(value, by)``: the first value in the order of ``by``, where both are known."""
    from sqlglot import exp

    direction = " DESC" if isinstance(node, exp.ArgMax) else ""
    known = "NOT {value} IS NULL AND NOT {by} IS NULL" + (" AND ({condition})" if condition else "")
    text = f"(array_agg({{value}} ORDER BY {{by}}{direction}) FILTER (WHERE {known}))[1]"
    return _template(text, value=node.this, by=node.expression, **condition)


def _star(node: exp.Expr) -> exp.Expr:
    if any(node.args.values()):
        raise StoreError(
            f"PostgreSQL has no {node.sql('duckdb')!r}",
            where="SQL",
            remedy="name the columns instead of leaving some out",
        )
    return node


def _unnest(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    return node.this if isinstance(node.this, exp.GenerateSeries) else node


def _function(node: exp.Anonymous) -> exp.Expr:
    name = node.name.lower()
    if name in _UNITS:
        return _template(f"{{n}} * INTERVAL '1 {_UNITS[name].removesuffix('s')}'", n=node.expressions[0])
    if name in {"epoch_us", "epoch_ms"}:
        factor = 1_000_000 if name == "epoch_us" else 1_000
        return _template(f"CAST(EXTRACT(epoch FROM {{t}}) * {factor} AS BIGINT)", t=node.expressions[0])
    if name == "isfinite":
        return _template("abs({x}) < CAST('Infinity' AS DOUBLE PRECISION)", x=node.expressions[0])
    return node
