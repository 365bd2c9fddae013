"""Where each column of a model comes from."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.core.errors import SqlModelError
from trading_assets.sql.model import SourceColumn
from trading_assets.store import TABLES

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.schema import MappingSchema


def column_lineage(path: Path, select: exp.Query) -> dict[str, tuple[SourceColumn, ...]]:
    """For each column of a statement the stored columns that its value is computed from, sorted.

    Columns that only choose rows (WHERE, JOIN, GROUP BY) are not among them; those that order an aggregate are.

    Raises
    ------
    SqlModelError
        If a column's name fits several tables.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage

    try:
        # untrimmed: trimming copies the whole statement for every column, to show what is not asked for here
        nodes = lineage(None, select, _schema(), dialect="duckdb", trim_selects=False)
    except SqlglotError as error:
        raise SqlModelError(
            str(error).splitlines()[0], where=f"{path}:1", remedy="name the table of each column that several have"
        ) from None
    return {
        name: tuple(
            sorted(
                {
                    SourceColumn(part.source.name, part.name.rpartition(".")[2].strip('"'))
                    for part in node.walk()
                    if isinstance(part.source, exp.Table) and part.source.name in TABLES
                }
            )
        )
        for name, node in nodes.items()
    }


@lru_cache(maxsize=1)
def _schema() -> MappingSchema:
    """All tables to sqlglot; it needs the names, not the types."""
    from sqlglot.schema import MappingSchema

    return MappingSchema(
        {name: dict.fromkeys(table.columns, "VARCHAR") for name, table in TABLES.items()}, dialect="duckdb"
    )
