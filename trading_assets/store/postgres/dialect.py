"""From DuckDB's dialect, in which every statement is written, to PostgreSQL's.

sqlglot translates most of it by itself. What it leaves to the engine, and a plain PostgreSQL does not know, is
rewritten here; Timescale's own functions are not used, so that one text runs on both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from trading_assets.core.errors import StoreError

if TYPE_CHECKING:
    from sqlglot import exp

_ORIGIN: Final = "TIMESTAMPTZ '2000-01-03 00:00:00+00'"
"""Where DuckDB's ``time_bucket`` begins to count buckets shorter than a month."""

_UNITS: Final = {f"to_{unit}": unit for unit in ("seconds", "minutes", "hours", "weeks")}
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
        exp.Filter: lambda node: _aggregate(node.this, condition=node.expression.this) or node,
        exp.ArgMin: _unfiltered,
        exp.ArgMax: _unfiltered,
        exp.IgnoreNulls: _unfiltered,
        exp.Median: _unfiltered,
        exp.CountIf: lambda node: _template("count(*) FILTER (WHERE {condition})", condition=node.this),
        exp.Star: _star,
        exp.IntDiv: lambda node: _template("CAST(div({a}, {b}) AS BIGINT)", a=node.this, b=node.expression),
        exp.IsNan: lambda node: _template("{a} = CAST('NaN' AS DOUBLE PRECISION)", a=node.this),
        exp.IsInf: lambda node: _template("abs({a}) = CAST('Infinity' AS DOUBLE PRECISION)", a=node.this),
        exp.Round: _round,
        exp.ToDays: lambda node: _template("{n} * INTERVAL '1 day'", n=node.this),
        exp.Explode: lambda node: node.this if isinstance(node.this, exp.GenerateSeries) else node,
        exp.Bracket: _bracket,
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


def _unfiltered(node: exp.Expr) -> exp.Expr:
    """An aggregate that stands alone; where a FILTER follows, the two are rewritten together."""
    from sqlglot import exp

    return node if isinstance(node.parent, exp.Filter) else _aggregate(node) or node


def _aggregate(node: exp.Expr, **condition: exp.Expr) -> exp.Expr | None:
    """An aggregate that PostgreSQL lacks, over the rows that fulfil a condition; None for others."""
    from sqlglot import exp

    limit = " AND ({condition})" if condition else ""
    if isinstance(node, exp.ArgMin | exp.ArgMax):  # the first value in the order of ``by``, where both are known
        order = "{by} DESC" if isinstance(node, exp.ArgMax) else "{by}"
        known = f"NOT {{value}} IS NULL AND NOT {{by}} IS NULL{limit}"
        text = f"(array_agg({{value}} ORDER BY {order}) FILTER (WHERE {known}))[1]"
        return _template(text, value=node.this, by=node.expression, **condition)
    if isinstance(node, exp.IgnoreNulls) and isinstance(node.this, exp.AnyValue):
        ordered = node.this.this
        value = ordered.this if isinstance(ordered, exp.Order) else ordered
        text = f"(array_agg({{ordered}}) FILTER (WHERE NOT {{value}} IS NULL{limit}))[1]"
        return _template(text, ordered=ordered, value=value, **condition)
    if isinstance(node, exp.Median):  # percentile_cont rounds twice between the two middle values, DuckDB once
        half = "percentile_disc(0.5) WITHIN GROUP (ORDER BY CAST({x} AS DOUBLE PRECISION){way})"
        half += f" FILTER (WHERE TRUE{limit})" if condition else ""
        return _template(
            f"({half.replace('{way}', '')} + {half.replace('{way}', ' DESC')}) / 2", x=node.this, **condition
        )
    return None


def _round(node: exp.Expr) -> exp.Expr:
    digits = node.args.get("decimals")
    if digits is None:
        return node
    return _template("CAST(round(CAST({x} AS NUMERIC), {n}) AS DOUBLE PRECISION)", x=node.this, n=digits)


def _bracket(node: exp.Expr) -> exp.Expr:
    """An element of a list that is no column needs parentheses."""
    from sqlglot import exp

    if not isinstance(node.this, exp.Column | exp.Paren):
        node.set("this", exp.Paren(this=node.this))
    return node


def _star(node: exp.Expr) -> exp.Expr:
    if any(node.args.values()):
        raise StoreError(
            f"PostgreSQL has no {node.sql('duckdb')!r}",
            where="SQL",
            remedy="name the columns instead of leaving some out",
        )
    return node


def _function(node: exp.Anonymous) -> exp.Expr:
    name = node.name.lower()
    if name in _UNITS:
        return _template(f"{{n}} * INTERVAL '1 {_UNITS[name].removesuffix('s')}'", n=node.expressions[0])
    if name == "epoch_us":
        return _template("CAST(EXTRACT(epoch FROM {t}) * 1000000 AS BIGINT)", t=node.expressions[0])
    if name == "isfinite":
        return _template("abs({x}) < CAST('Infinity' AS DOUBLE PRECISION)", x=node.expressions[0])
    return node
