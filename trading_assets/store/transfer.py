"""Tables from one place to another, in portions that are verified: between engines, into a backup and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Final, Protocol

import polars as pl

from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import StoreError
from trading_assets.store.contract import Store
from trading_assets.store.migration import backtests_get_their_version, migrate
from trading_assets.store.statements import listed, quoted
from trading_assets.store.tables import Table

_MONTH: Final = "month"


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of a table that is read and written at once: a market's month of candles, a model's folds.

    Attributes
    ----------
    table
        Of which table.
    where, start, end
        The scope, as :meth:`~trading_assets.store.contract.Store.replace` takes it.
    rows
        How many rows it has at the source.
    """

    table: Table
    where: dict[str, str]
    start: datetime | None
    end: datetime | None
    rows: int

    def __str__(self) -> str:
        month = [] if self.start is None else [f"{self.start:%Y-%m}"]
        return " ".join([self.table.name, *self.where.values(), *month])


class Place(Protocol):
    """Where tables can be taken from."""

    def portions(self, table: Table) -> list[Portion]:
        """All rows of the table, each in one portion."""
        ...

    def load(self, portion: Portion) -> pl.DataFrame:
        """The rows of a portion, in :func:`canonical` form."""
        ...


@dataclass(frozen=True, slots=True)
class StoreAsPlace:
    """A store to take tables from."""

    store: Store

    def portions(self, table: Table) -> list[Portion]:
        """By the text that begins the key, and by month where time is part of the key.

        What a store of an older layout does not say is what its rows mean.
        """
        stored = self._stored(table)
        by_month = table.time in table.key
        texts = list(
            takewhile(lambda column: table.columns[column] == pl.String, table.key if by_month else table.key[:1])
        )
        month = f", date_trunc('month', {quoted(table.time)}) AS {_MONTH}" if by_month else ""
        groups = self.store.query(
            f"SELECT {listed([one for one in texts if one in stored])}{month}, count(*) AS n "
            f"FROM {quoted(table.name)} GROUP BY ALL ORDER BY ALL"
        )
        return [
            Portion(
                table,
                {column: str(group[column] if column in stored else table.joined[column]) for column in texts},
                group.get(_MONTH),
                _next_month(group[_MONTH]) if by_month else None,
                int(group["n"]),
            )
            for group in groups.iter_rows(named=True)
        ]

    def load(self, portion: Portion) -> pl.DataFrame:
        """Read the portion's rows."""
        stored = self._stored(portion.table)
        where = {column: value for column, value in portion.where.items() if column in stored}
        frame = self.store.read(portion.table, where=where, start=portion.start, end=portion.end)
        return canonical(portion.table, frame)

    def _stored(self, table: Table) -> set[str]:
        return set(self.store.query(f"SELECT * FROM {quoted(table.name)} LIMIT 0").columns)


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of one table.

    Attributes
    ----------
    rows
        Rows at the source, each of which is at the target now.
    written
        Rows of portions that had to be written; the others were there already.
    others
        Rows at the target that the source does not have.
    """

    table: Table
    rows: int
    written: int
    others: int


def canonical(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as it is the same in every engine: declared columns, then features by name, sorted by the key.

    Features that are null throughout are left out: a store has them or not, depending on what else it holds.
    """
    extra = sorted(column for column in frame.columns if column not in table.columns) if table.open_ended else []
    present = [column for column in extra if frame[column].null_count() < len(frame)]
    return frame.select([*table.columns, *present]).sort(table.key)


def copy(
    source: Place, target: Store, tables: Iterable[Table], follow: Callable[[Portion], None] | None = None
) -> Iterator[Copied]:
    """Bring tables to another store, portion by portion; yields each table when it is there.

    A portion whose content is at the target already is not written: an interrupted copy goes on where it stopped.
    What was written is read back and compared. Rows of the target outside of the source's portions stay.

    Raises
    ------
    StoreError
        If a portion that was read back differs, or the target was made by newer software.
    """
    migrate(target)
    with target.kept_open():
        for table in tables:
            yield _copy_table(source, StoreAsPlace(target), table, follow)
        backtests_get_their_version(target)  # of a backup, or a store, that an older version made


def _copy_table(source: Place, target: StoreAsPlace, table: Table, follow: Callable[[Portion], None] | None) -> Copied:
    portions = source.portions(table)
    written = 0
    for portion in portions:
        frame = source.load(portion)
        wanted = frame_hash(frame)
        if frame_hash(target.load(portion)) != wanted:
            target.store.replace(table, frame, where=portion.where, start=portion.start, end=portion.end)
            written += len(frame)
            if frame_hash(target.load(portion)) != wanted:
                raise StoreError(
                    f"{portion} is not at the target what it is at the source",
                    where=table.name,
                    remedy="something else writes to one of them: stop it and run this again",
                )
        if follow is not None:
            follow(portion)
    rows = sum(portion.rows for portion in portions)
    return Copied(table, rows, written, sum(portion.rows for portion in target.portions(table)) - rows)


def _next_month(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
