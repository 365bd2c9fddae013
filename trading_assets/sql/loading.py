"""Loading the models of a folder: everything that can be wrong with them is found here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from trading_assets.core.errors import SqlModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.sql.expectations import read_expectations
from trading_assets.sql.lineage import column_lineage
from trading_assets.sql.model import SqlModel
from trading_assets.sql.statement import check_columns, check_result, parse, place, tables_read
from trading_assets.sql.templates import filled, is_template, named_in, template_of
from trading_assets.store import TABLES

MODELS_FOLDER: Final = Path(__file__).resolve().parents[2] / "dbt_like_sql"

_File = tuple[Path, int, int]
"""Path, time of the last change, size."""


class SqlModels(dict[str, SqlModel]):
    """Models by name; one of a template that nobody named yet is made when it is asked for."""

    def __init__(self, folder: Path, models: dict[str, SqlModel], templates: Sequence[str]) -> None:
        super().__init__(models)
        self._folder = folder
        self._templates = templates

    def __missing__(self, name: str) -> SqlModel:
        found = template_of(name, self._templates)
        if found is None:
            raise KeyError(name)
        return load_models(self._folder, [found[1]])[name]


def load_models(folder: Path = MODELS_FOLDER, timeframes: Iterable[Timeframe] = ()) -> SqlModels:
    """Read every ``.sql`` and ``.yaml`` file of the folder and below; what a model reads comes before it.

    A file with ``{timeframe}`` in its name is a template: a model of each timeframe. Cached until a file changes.

    Parameters
    ----------
    folder
        Where the files are.
    timeframes
        Of which the templates' models are wanted, beside those that other files name.

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
    wanted = tuple(sorted(set(timeframes)))
    templates = [path.stem for path, *_ in models if is_template(path.stem)]
    return SqlModels(folder, _load(models, _known(folder, "*.yaml"), wanted), templates)


def _known(folder: Path, pattern: str) -> tuple[_File, ...]:
    files = ((file, file.stat()) for file in sorted(folder.rglob(pattern)))
    return tuple((file, stat.st_mtime_ns, stat.st_size) for file, stat in files)


@lru_cache(maxsize=64)
def _load(files: tuple[_File, ...], tests: tuple[_File, ...], wanted: tuple[Timeframe, ...]) -> dict[str, SqlModel]:
    paths: dict[str, _File] = {}
    for file in files:
        name = file[0].stem if is_template(file[0].stem) else file[0].stem.lower()  # SQL names differ in more than case
        if name in paths:
            raise SqlModelError(
                f"the name is taken by {paths[name][0]}", where=f"{file[0]}:1", remedy="rename one of them"
            )
        paths[name] = file
    texts = [path.read_text(encoding="utf-8") for path, *_ in (*files, *tests)]
    sources: dict[str, tuple[_File, Timeframe | None]] = {}
    for name, file in paths.items():
        if not is_template(name):
            sources[name] = file, None
            continue
        named = {timeframe for text in texts for timeframe in named_in(text, name)}
        for timeframe in sorted({*wanted, *named}):
            if (one := filled(name, timeframe)) not in paths:  # a file of that very name goes before
                sources[one] = file, timeframe
    known = frozenset({*TABLES, *sources})
    models = {name: _read(name, *source, known=known) for name, source in sources.items()}
    ordered = {name: models[name] for name in _in_order(models)}
    templates = [name for name in paths if is_template(name)]
    expectations = read_expectations([path for path, *_ in tests], ordered, templates)
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


@lru_cache(maxsize=256)
def _read(name: str, file: _File, timeframe: Timeframe | None, *, known: frozenset[str]) -> SqlModel:
    from sqlglot import exp

    path = file[0]
    sql = path.read_text(encoding="utf-8")
    if timeframe is not None:
        sql = filled(sql, timeframe)
    select = parse(path, sql)
    dependencies = tables_read(path, sql, select, known)
    columns = tuple(select.named_selects)
    check_result(name, path, sql, columns)
    check_columns(path, sql, select)
    parameters = {node.name for node in select.find_all(exp.Placeholder, exp.Parameter)}
    lineage = column_lineage(path, select)
    return SqlModel(name, path, sql, dependencies, tuple(sorted(parameters)), columns, lineage, timeframe=timeframe)
