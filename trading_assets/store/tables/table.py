"""What a table is."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from trading_assets.store.tables.columns import COMMON

Schema = dict[str, pl.DataType | type[pl.DataType]]


@dataclass(frozen=True, slots=True)
class Table:
    """A stored table.

    Attributes
    ----------
    name
        Its name in SQL.
    row
        What one row means, in one sentence.
    columns
        Column -> Polars type.
    key
        The columns that identify a row; writes are idempotent by them.
    time
        The column that windows are cut on.
    open_ended
        Whether a write may bring further Float64 columns (one per feature).
    joined
        Columns that stores of older layouts lack -> what the rows there mean.
    on_demand
        Whether it is made at its first write, not with the others: there are many like it, and few are used.
    view
        The SELECT that gives its rows, in words that every engine understands, where they are not stored again.
    """

    name: str
    row: str
    columns: Schema
    key: tuple[str, ...]
    time: str = "ts"
    open_ended: bool = False
    joined: dict[str, int | str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    on_demand: bool = False
    view: str = ""

    def note(self, column: str) -> str:
        """What a column means."""
        return self.notes.get(column) or COMMON.get(column, "")
