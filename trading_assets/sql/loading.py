"""Loading the models of a folder: everything that can be wrong with them is found here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from trading_assets.core.errors import SqlModelError
from trading_assets.sql.expectations import read_expectations
from trading_assets.sql.lineage import column_lineage
from trading_assets.sql.model import SqlModel
from trading_assets.sql.statement import check_columns, check_result, parse, place, tables_read
from trading_assets.store import TABLES

MODELS_FOLDER: Final = Path(__file__).resolve().parents[2] / "dbt_like_sql"

_Files = tuple[tuple[Path, int, int], ...]
"""Path, time of the last change, size."""


def load_models(folder: Path = MODELS_FOLDER) -> dict[str, SqlModel]:
    """Read every ``.sql`` and ``.yaml`` file of the folder and below; what a model reads comes before it.

    Cached until a file changes.

    Raises
    ------
    SqlModelError
        With file and line, if a file is no single SELECT, names a table or column that nobody declares, returns other
        columns than its table has, shares its name with another, or depends on itself; or if a test in a ``.yaml`` file
        cannot be understood.
    """
    models = _known(folder, "*.sql")
    if not models:
        raise SqlModelError("no .sql files", where=str(folder), remedy="check the path of the SQL models")
    return dict(_load(models, _known(folder, "*.yaml")))


def _known(folder: Path, pattern: str) -> _Files:
    files = ((file, file.stat()) for file in sorted(folder.rglob(pattern)))
    return tuple((file, stat.st_mtime_ns, stat.st_size) for file, stat in files)


@lru_cache(maxsize=8)
def _load(files: _Files, tests: _Files) -> dict[str, SqlModel]:
    paths: dict[str, Path] = {}
    for path, *_ in files:
        name = path.stem.lower()  # SQL names differ in more than case
        if name in paths:
            raise SqlModelError(f"the name is taken by {paths[name]}", where=f"{path}:1", remedy="rename one of them")
        paths[name] = path
    models = {name: _read(name, path, known={*TABLES, *paths}) for name, path in paths.items()}
    ordered = {name: models[name] for name in _in_order(models)}
    expectations = read_expectations([path for path, *_ in tests], ordered)
    return {name: replace(model, expectations=expectations.get(name, ())) for name, model in ordered.items()}


def _in_order(models: dict[str, SqlModel]) -> Iterable[str]:
    graph = {name: [read for read in model.dependencies if read in models] for name, model in models.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        model, read = models[circle[0]], circle[1]
        raise SqlModelError(
            f"models read each other in a circle: {' <- '.join(reversed(circle))}",
            where=place(model.path, model.sql, model.sql.lower().find(read)),
            remedy="break the circle",
        ) from None


def _read(name: str, path: Path, *, known: set[str]) -> SqlModel:
    from sqlglot import exp

    sql = path.read_text(encoding="utf-8")
    select = parse(path, sql)
    dependencies = tables_read(path, sql, select, known)
    columns = tuple(select.named_selects)
    check_result(name, path, sql, columns)
    check_columns(path, sql, select)
    parameters = {node.name for node in select.find_all(exp.Placeholder, exp.Parameter)}
    lineage = column_lineage(path, select)
    return SqlModel(name, path, sql, dependencies, tuple(sorted(parameters)), columns, lineage)
