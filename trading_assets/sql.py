"""The SQL models in ``dbt_like_sql/``: one SELECT per file, checked when loaded, run with ``$name`` parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from trading_assets.candles import timeframe_minutes
from trading_assets.errors import SqlModelError, StoreError
from trading_assets.store import TABLES, Store

if TYPE_CHECKING:
    from sqlglot import exp

MODELS_FOLDER: Final = Path(__file__).resolve().parents[1] / "dbt_like_sql"


@dataclass(frozen=True, slots=True)
class SqlModel:
    """One SELECT; its result is the table of the same name.

    Attributes
    ----------
    name
        The file's name without ``.sql``, and the table's.
    path
        The file.
    sql
        Its text, in DuckDB's dialect.
    dependencies
        The tables that it reads, sorted.
    parameters
        The ``$name`` parameters that it needs, sorted.
    columns
        The columns that it returns, in order.
    """

    name: str
    path: Path
    sql: str
    dependencies: tuple[str, ...]
    parameters: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def description(self) -> str:
        """The first sentence of the file's opening comment."""
        first = self.sql.splitlines()[0]
        return first.removeprefix("--").strip() if first.startswith("--") else ""


def load_models(folder: Path = MODELS_FOLDER) -> dict[str, SqlModel]:
    """Read every ``.sql`` file of the folder and below; what a model reads comes before it.

    Cached until a file changes.

    Raises
    ------
    SqlModelError
        With file and line, if a file is no single SELECT, reads a table that nobody declares, returns other columns
        than its table has, shares its name with another, or depends on itself.
    """
    files = sorted(folder.rglob("*.sql"))
    if not files:
        raise SqlModelError("no .sql files", where=str(folder), remedy="check the path of the SQL models")
    return dict(_load(tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)))


def run_model(store: Store, model: SqlModel, **parameters: Any) -> pl.DataFrame:
    """Run the model's SELECT.

    Raises
    ------
    SqlModelError
        If parameters are missing or unknown, or the store refuses the statement.
    """
    if set(parameters) != set(model.parameters):
        raise SqlModelError(
            f"needs the parameters {_listed(model.parameters)}, was given {_listed(sorted(parameters))}",
            where=str(model.path),
        )
    try:
        return store.query(model.sql, parameters)
    except StoreError as error:
        raise SqlModelError(error.what, where=str(model.path), remedy=error.remedy) from error


def build_bars(
    store: Store, model: SqlModel, *, market: str, timeframe: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """Build one market's bars that open in [start, end).

    Windows of any cut give the same bars: a bar that opens before ``end`` takes its candles after ``end`` too, and one
    that opened before ``start`` belongs to the window before. Missing candles stay missing: a bar holds those that
    are there (``candles`` counts them), and a bar without any does not exist. Candles coarser than the bar give none.

    A bar is closed once a candle that ends at its end, or later, is stored. Where its own last candle is missing, that
    may be one of the next window: build from a day earlier, so that it is picked up then.

    Parameters
    ----------
    store
        Where ``candles`` lie.
    model
        One of the ``bars_...`` models.
    market, timeframe
        Whose candles, and of which length.
    start, end
        The window; both with a time zone.

    Returns
    -------
    polars.DataFrame
        The columns of the model's table, sorted by ``ts``.
    """
    return run_model(
        store,
        model,
        market=market,
        timeframe=timeframe,
        candle_minutes=timeframe_minutes(timeframe),
        start=start,
        end=end,
    )


@lru_cache(maxsize=8)
def _load(files: tuple[tuple[Path, int, int], ...]) -> dict[str, SqlModel]:
    paths: dict[str, Path] = {}
    for path, *_ in files:
        name = path.stem.lower()  # SQL names differ in more than case
        if name in paths:
            raise SqlModelError(f"the name is taken by {paths[name]}", where=str(path), remedy="rename one of them")
        paths[name] = path
    models = {name: _read(name, path, known={*TABLES, *paths}) for name, path in paths.items()}
    try:
        order = TopologicalSorter({name: _among(model.dependencies, models) for name, model in models.items()})
        return {name: models[name] for name in order.static_order()}
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        model, read = models[circle[0]], circle[1]
        raise SqlModelError(
            f"models read each other in a circle: {' <- '.join(reversed(circle))}",
            where=_place(model.path, model.sql, model.sql.lower().find(read)),
            remedy="break the circle",
        ) from None


def _read(name: str, path: Path, *, known: set[str]) -> SqlModel:
    from sqlglot import exp

    sql = path.read_text(encoding="utf-8")
    select = _parse(path, sql)
    inner = {cte.alias_or_name.lower() for cte in select.find_all(exp.CTE)}
    dependencies = set()
    for table in select.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or (table.name.lower() in inner and not table.db):
            continue  # a function such as range(), or a part of this statement
        wanted = f"{table.db}.{table.name}" if table.db else table.name.lower()
        if wanted not in known:
            raise SqlModelError(
                f"unknown table {wanted!r}",
                where=_place(path, sql, table.this.meta.get("start", 0)),
                remedy="declare it in trading_assets/store/tables/ or add a model of that name",
            )
        dependencies.add(wanted)
    columns = tuple(select.named_selects)
    _check_columns(name, path, sql, columns)
    parameters = {node.name for node in select.find_all(exp.Placeholder, exp.Parameter)}
    return SqlModel(name, path, sql, tuple(sorted(dependencies)), tuple(sorted(parameters)), columns)


def _parse(path: Path, sql: str) -> exp.Query:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement is not None]
    except SqlglotError as error:
        line, what = _syntax_error(sql) or (1, str(error).splitlines()[0])
        raise SqlModelError(what, where=f"{path}:{line}", remedy="mend the SQL (DuckDB's dialect)") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise SqlModelError("not one SELECT", where=_place(path, sql, 0), remedy="a model is a single SELECT statement")
    return statements[0]


def _syntax_error(sql: str) -> tuple[int, str] | None:
    """Line and message of DuckDB's own parser: sqlglot's line numbers drift, and it names its classes."""
    import duckdb

    try:
        duckdb.extract_statements(sql)
    except duckdb.Error as error:
        line = re.search(r"^LINE (\d+):", str(error), re.MULTILINE)
        return int(line[1]) if line else 1, str(error).splitlines()[0].removeprefix("Parser Error: ")
    return None


def _check_columns(name: str, path: Path, sql: str, columns: tuple[str, ...]) -> None:
    place = _place(path, sql, max(sql.lower().rfind("select"), 0))
    if name not in TABLES:
        raise SqlModelError(
            f"no table {name!r} for its rows", where=place, remedy="declare it in trading_assets/store/tables/"
        )
    wanted = TABLES[name].columns
    if sorted(columns) != sorted(wanted):
        raise SqlModelError(
            f"returns {_listed(columns)}",
            where=place,
            remedy=f"the table {name} has {_listed(wanted)}: name each column of the last SELECT so",
        )


def _place(path: Path, sql: str, offset: int) -> str:
    return f"{path}:{sql.count('\n', 0, max(offset, 0)) + 1}"


def _among(names: Iterable[str], models: dict[str, SqlModel]) -> list[str]:
    return [name for name in names if name in models]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
