"""What a SQL model is, and a test of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from trading_assets.core.timeframes import Timeframe


class SourceColumn(NamedTuple):
    """A column of a table that a model reads."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """One test of a model's rows.

    Attributes
    ----------
    model
        The model's name.
    name
        Kind and columns, unless the file gives a name.
    severity
        ``error`` stops what follows in the graph, ``warn`` only tells.
    description
        What it asks for, in words.
    sql
        A SELECT of the rows that break it, from the relation ``tested``.
    place
        File and line.
    """

    model: str
    name: str
    severity: Literal["error", "warn"]
    description: str
    sql: str
    place: str


@dataclass(frozen=True, slots=True)
class SqlModel:
    """One SELECT; its result is the table of the same name.

    Attributes
    ----------
    name
        The file's name without ``.sql``, and the table's; of a template, with the timeframe in its place.
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
    lineage
        For each of them the stored columns that its value is computed from.
    expectations
        What its rows must fulfil, from the YAML files beside it.
    timeframe
        Of a model that a template was filled for.
    """

    name: str
    path: Path
    sql: str
    dependencies: tuple[str, ...]
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    lineage: Mapping[str, tuple[SourceColumn, ...]] = field(default_factory=dict, hash=False)
    expectations: tuple[Expectation, ...] = ()
    timeframe: Timeframe | None = None

    @property
    def description(self) -> str:
        """The first sentence of the file's opening comment."""
        first = self.sql.splitlines()[0]
        return first.removeprefix("--").strip() if first.startswith("--") else ""
