"""What the rows of a model must fulfil: read from the YAML files beside the models, compiled to SQL, run on a store.

The files have dbt's form: ``models``, each with ``data_tests`` of its own and of its ``columns``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.core.errors import SqlModelError
from trading_assets.sql.kinds import KINDS, Kind
from trading_assets.sql.lined_yaml import Lined, line_of, read_yaml
from trading_assets.sql.model import Expectation, SqlModel
from trading_assets.sql.statement import check_columns, listed, parse
from trading_assets.sql.templates import filled
from trading_assets.store import TABLES, Store
from trading_assets.store.statements import Condition, matching, quoted

_ROWS = "tested"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many rows break an expectation, and the first ten of them."""

    expectation: Expectation
    failing: int
    examples: pl.DataFrame

    @property
    def passed(self) -> bool:
        """Whether no row breaks it."""
        return self.failing == 0


def check_expectations(
    store: Store,
    model: SqlModel,
    *,
    names: Collection[str] | None = None,
    where: Mapping[str, str | Sequence[str]] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[Outcome]:
    """Run a model's tests over its stored rows with ``where`` and ``start <= time < end``.

    One statement counts the failures of all tests; only those that fail are asked for rows.

    Parameters
    ----------
    store
        Where the model's table lies.
    model
        Whose tests.
    names
        Which of them; all by default.
    where, start, end
        Which rows; all by default.
    """
    wanted = [one for one in model.expectations if names is None or one.name in names]
    if not wanted:
        return []
    scope = matching(TABLES[model.name], where, start, end)
    counts = " UNION ALL ".join(
        f"SELECT {number} AS number, count(*) AS failing FROM ({one.sql}) AS found{number}"
        for number, one in enumerate(wanted)
    )
    failing = dict(store.query(_over(model, scope, counts), scope.parameters).iter_rows())
    return [
        Outcome(one, failing[number], _examples(store, model, scope, one) if failing[number] else pl.DataFrame())
        for number, one in enumerate(wanted)
    ]


def _over(model: SqlModel, scope: Condition, sql: str) -> str:
    return f"WITH {_ROWS} AS (SELECT * FROM {quoted(model.name)} WHERE {scope}) {sql}"


def _examples(store: Store, model: SqlModel, scope: Condition, expectation: Expectation) -> pl.DataFrame:
    return store.query(_over(model, scope, f"{expectation.sql} LIMIT 10"), scope.parameters)


def read_expectations(
    files: Sequence[Path], models: Mapping[str, SqlModel], templates: Collection[str] = ()
) -> dict[str, tuple[Expectation, ...]]:
    """The tests in the files, model by model.

    Raises
    ------
    SqlModelError
        With file and line, if a file is no such YAML, names a model, column or test that there is not, gives a test
        wrong arguments, or the same test twice.
    """
    found: dict[str, dict[str, Expectation]] = {}
    for path in files:
        for entry in _list(read_yaml(path), "models", path):
            for model in _models(entry, path, models, templates):
                _add(found.setdefault(model.name, {}), _of_model(entry, path, model, models))
    return {model: tuple(mine.values()) for model, mine in found.items()}


def _add(mine: dict[str, Expectation], further: Iterator[Expectation]) -> None:
    for expectation in further:
        if expectation.name in mine:
            raise SqlModelError(
                f"the test {expectation.name!r} stands at {mine[expectation.name].place} too",
                where=expectation.place,
                remedy="give one of them a `name`",
            )
        mine[expectation.name] = expectation


def _of_model(entry: Lined, path: Path, model: SqlModel, models: Mapping[str, SqlModel]) -> Iterator[Expectation]:
    _only(entry, {"name", "description", "data_tests", "columns"}, path)
    for test in _list(entry, "data_tests", path, missing=True):
        yield _expectation(test, path, entry, model, models, None)
    for column in _list(entry, "columns", path, missing=True):
        _only(column, {"name", "description", "data_tests"}, path)
        name = str(column.get("name"))
        _check_known([name], model.columns, f"column of {model.name}", column, path)
        for test in _list(column, "data_tests", path, missing=True):
            yield _expectation(test, path, column, model, models, name)


def _expectation(
    test: Any, path: Path, around: Lined, model: SqlModel, models: Mapping[str, SqlModel], column: str | None
) -> Expectation:
    line = line_of(test, around)
    place = f"{path}:{line}"
    name, arguments = _named(test, place)
    if name not in KINDS:
        raise SqlModelError(f"unknown test {name!r}", where=place, remedy=f"there is {listed(KINDS)}")
    kind = _kind(name, arguments, column, place)
    for table, columns in kind.needs(model.name):
        if table not in TABLES:
            raise SqlModelError(f"unknown table {table!r}", where=place, remedy=f"there is {listed(TABLES)}")
        _check_known(columns, TABLES[table].columns, f"column of {table}", line, path)
    sql = kind.sql(_ROWS)
    _check_conditions(kind, model, path, line)
    return Expectation(model.name, kind.check_name(name), kind.severity, kind.text(), sql, place)


def _named(test: Any, place: str) -> tuple[str, dict[str, Any]]:
    """``not_null`` or ``{accepted_range: {min_value: 0}}``."""
    if isinstance(test, str):
        return str(test), {}
    if isinstance(test, dict) and len(test) == 1:
        ((name, arguments),) = test.items()
        if isinstance(arguments, dict):
            return str(name), {str(key): value for key, value in arguments.items()}
    raise SqlModelError(
        f"not a test: {test}", where=place, remedy="write a name, or one name with its arguments as a mapping"
    )


def _kind(name: str, arguments: dict[str, Any], column: str | None, place: str) -> Kind:
    from pydantic import ValidationError

    given = arguments if column is None else {"columns": [column], **arguments}
    try:
        return KINDS[name].model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(part) for part in first["loc"])
        fields = [field for field in KINDS[name].model_fields if column is None or field != "columns"]
        raise SqlModelError(
            f"{name}: {f'{spot}: ' if spot else ''}{first['msg']}", where=place, remedy=f"it takes {listed(fields)}"
        ) from None


def _check_conditions(kind: Kind, model: SqlModel, path: Path, line: int) -> None:
    """Read the conditions that the file itself writes in SQL."""
    for condition in kind.conditions():
        sql = f"SELECT *\nFROM {quoted(model.name)} WHERE {condition}"
        try:
            check_columns(path, sql, parse(path, sql))
        except SqlModelError as error:
            raise SqlModelError(error.what, where=f"{path}:{line}", remedy=error.remedy) from None


def _models(entry: Any, path: Path, models: Mapping[str, SqlModel], templates: Collection[str]) -> list[SqlModel]:
    """The model that an entry is of; all that were made of it where it is a template."""
    if not isinstance(entry, Lined):
        raise SqlModelError(f"not a model: {entry}", where=f"{path}:{line_of(entry, 1)}", remedy="write `- name: ...`")
    name = str(entry.get("name"))
    if name in templates:
        return [one for one in models.values() if one.timeframe and filled(name, one.timeframe) == one.name]
    _check_known([name], models, "model", entry, path)
    return [models[name]]


def _check_known(names: Collection[str], known: Collection[str], what: str, near: Any, path: Path) -> None:
    for name in names:
        if name not in known:
            line = near if isinstance(near, int) else line_of(near, 1)
            raise SqlModelError(f"unknown {what}: {name!r}", where=f"{path}:{line}", remedy=f"there is {listed(known)}")


def _only(entry: Any, known: set[str], path: Path) -> None:
    if not isinstance(entry, Lined):
        raise SqlModelError(f"not a column: {entry}", where=f"{path}:{line_of(entry, 1)}", remedy="write `- name: ...`")
    for key in entry:
        _check_known([str(key)], sorted(known), "key", line_of(key, entry), path)


def _list(entry: Any, key: str, path: Path, *, missing: bool = False) -> list[Any]:
    found = entry.get(key, [] if missing else None) if isinstance(entry, dict) else None
    if not isinstance(found, list):
        line = line_of(entry, 1)
        raise SqlModelError(f"no list {key!r}", where=f"{path}:{line}", remedy=f"write `{key}:` and a list below it")
    return found
