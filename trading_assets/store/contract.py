"""The store's contract: what every engine does. The same tests run against all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import polars as pl

from trading_assets.store.tables import Table


@runtime_checkable
class Store(Protocol):
    """A keyed, transactional table store.

    Every write is one transaction: a process killed in the middle leaves the old rows or the new ones. Frames come and
    go with the table's declared types; time columns are UTC microseconds. Connections are held only for the call.
    """

    def upsert(self, table: Table, frame: pl.DataFrame) -> int:
        """Insert rows, replacing those with the same key; returns the number of rows given.

        Raises ``InvalidFrame`` for missing columns, wrong types, null or duplicated keys.
        """
        ...

    def upsert_together(self, parts: Sequence[tuple[Table, pl.DataFrame]]) -> int:
        """Upsert into several tables; a reader sees all of them changed, or none."""
        ...

    def replace(
        self,
        table: Table,
        frame: pl.DataFrame,
        *,
        where: Mapping[str, str | int],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> int:
        """Make ``frame`` the only rows with ``where`` (column = value) and ``start <= table.time < end``."""
        ...

    def replace_together(self, parts: Sequence[tuple[Table, pl.DataFrame]], *, where: Mapping[str, str | int]) -> int:
        """Make each frame the only rows of its table with ``where``; a reader sees all tables changed, or none."""
        ...

    def read(
        self,
        table: Table,
        *,
        where: Mapping[str, str | int | Sequence[str]] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows with ``where`` and ``start <= table.time < end``, sorted by the key; an empty frame where none match.

        Columns that ``where`` fixes are constants of the result; ``columns`` chooses and orders what comes back.
        """
        ...

    def tail(self, table: Table, *, where: Mapping[str, str | int], before: datetime, rows: int) -> pl.DataFrame:
        """The last ``rows`` rows with ``where`` and ``table.time < before``, in ascending order."""
        ...

    def bounds(
        self, table: Table, *, where: Mapping[str, str | int | Sequence[str]] | None = None
    ) -> tuple[datetime, datetime] | None:
        """The oldest and the newest ``table.time`` of the rows with ``where``; None where there are none."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run one SELECT in DuckDB's dialect with ``$name`` parameters."""
        ...

    def prepare(self, tables: Iterable[Table]) -> list[str]:
        """Create what is missing of the tables and their columns; returns what was done, a line each.

        Writes do the same for their own tables: this is for those who want to see it done beforehand.
        """
        ...

    def kept_open(self) -> AbstractContextManager[None]:
        """A block of many calls: what is dear to open is opened once, without keeping others out."""
        ...

    def close(self) -> None:
        """Release what the store holds."""
        ...
