"""Frames on their way into a table and out of it: the same for every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import polars as pl

from trading_assets.core.errors import InvalidFrame, StoreError
from trading_assets.store.tables import Schema, Table


def conform(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame in the table's column order, checked.

    Parameters
    ----------
    table
        Where the frame is to go.
    frame
        Exactly the table's columns, in any order; an open-ended table takes further Float64 columns. A column that is
        null throughout may have Polars' Null type.

    Raises
    ------
    InvalidFrame
        If columns are missing or unknown, a type differs, or a key is null or stands twice; or the table is a view.
    """
    if table.view:
        raise InvalidFrame("its rows come from other tables", where=table.name, remedy="write those")
    extra = [column for column in frame.columns if column not in table.columns]
    _check_names(table, frame.columns, extra)
    wanted: Schema = {**table.columns, **dict.fromkeys(extra, pl.Float64)}
    _check_types(table, frame.schema, wanted)
    nulls = [column for column, dtype in frame.schema.items() if dtype == pl.Null]
    frame = frame.with_columns(pl.col(column).cast(wanted[column]) for column in nulls).select(list(wanted))
    _check_keys(table, frame)
    return frame


def empty(table: Table, columns: Iterable[str] | None = None) -> pl.DataFrame:
    """A frame of the table without rows; a column that only an open-ended table may have is Float64."""
    names = table.columns if columns is None else columns
    return pl.DataFrame(schema={name: table.columns.get(name, pl.Float64) for name in names})


def changes(table: Table, before: Collection[str], after: Collection[str]) -> list[str]:
    """What happened to a stored table's columns, in words."""
    if not before:
        return [f"made the table {table.name}"]
    added = [column for column in after if column not in before]
    return [f"{table.name}: added {', '.join(added)}"] if added else []


def wanted_columns(table: Table, stored: Collection[str], columns: Sequence[str] | None) -> list[str]:
    """What a read is to return: ``columns``, or all that are declared or ``stored``.

    Raises
    ------
    StoreError
        If the table has no such column.
    """
    known = list(dict.fromkeys([*table.columns, *stored]))
    unknown = [column for column in columns or () if column not in known]
    if unknown and (stored or not table.open_ended):
        raise StoreError(f"no column {unknown[0]!r}", where=table.name, remedy=f"it has {', '.join(known)}")
    return known if columns is None else list(columns)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a read fetches, and what makes of it the frame that was asked for; the same on every engine.

    Attributes
    ----------
    fetched
        The stored columns to select: a column that the filter fixes need not travel (text is the slow part of a read),
        one that orders the rows must.
    """

    table: Table
    fetched: list[str]
    _wanted: list[str]
    _order: list[str]
    _fixed: dict[str, str | int]

    @classmethod
    def of(
        cls,
        table: Table,
        stored: Collection[str],
        where: Mapping[str, str | int | Sequence[str]] | None,
        columns: Sequence[str] | None,
    ) -> Self:
        """Plan a read of a table that has the columns ``stored``.

        Raises
        ------
        StoreError
            If the filter names a key column that a store of this older layout does not have.
        """
        fixed = {column: value for column, value in (where or {}).items() if isinstance(value, str | int)}
        if behind := [column for column in where or {} if column in table.joined and column not in stored]:
            raise StoreError(
                f"the store has an older layout: no column {behind[0]!r}",
                where=table.name,
                remedy="run trading store migrate",
            )
        wanted = wanted_columns(table, stored, columns)
        order = [column for column in table.key if column not in fixed and column in stored]
        moving = [column for column in wanted if column not in fixed and column in stored]
        return cls(table, list(dict.fromkeys([*moving, *order])) or list(table.key), wanted, order, fixed)

    def finished(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The fetched rows, sorted by the key, with the columns that were asked for."""
        if self._order and not (len(self._order) == 1 and frame[self._order[0]].is_sorted()):
            frame = frame.sort(self._order)
        return completed(self.table, frame, self._wanted, self._fixed)


def completed(table: Table, frame: pl.DataFrame, wanted: Sequence[str], fixed: Mapping[str, str | int]) -> pl.DataFrame:
    """The frame with the columns that the filter fixes, and what stands in for those that an older file does not have.

    Null, or the value of a key column that joined.
    """
    there = set(frame.columns)
    constants = {
        column: pl.lit(fixed.get(column, table.joined.get(column)), table.columns[column]).alias(column)
        for column in wanted
        if column not in there
    }
    if len(constants) == len(wanted):  # constants alone would lose the number of rows
        return frame.with_columns(constants.values()).select(wanted)
    return frame.select(constants.get(column, pl.col(column)) for column in wanted)


def check_inside(
    table: Table, frame: pl.DataFrame, where: Mapping[str, str | int], start: datetime | None, end: datetime | None
) -> None:
    """Refuse rows that lie outside of what is to be replaced.

    Raises
    ------
    InvalidFrame
        With how many they are.
    """
    inside = [pl.col(column) == value for column, value in where.items()]
    if start is not None:
        inside.append(pl.col(table.time) >= start)
    if end is not None:
        inside.append(pl.col(table.time) < end)
    if not inside:
        return
    outside = len(frame) - frame.select(pl.all_horizontal(inside).fill_null(False).sum()).item()
    if outside:
        window = ", ".join([*(f"{column}={value}" for column, value in where.items()), f"[{start}, {end})"])
        raise InvalidFrame(
            f"{outside:,} of {len(frame):,} rows lie outside of what is replaced ({window})",
            where=table.name,
            remedy="replace the window that the rows belong to",
        )


def _check_names(table: Table, columns: list[str], extra: list[str]) -> None:
    missing = [column for column in table.columns if column not in columns]
    if missing:
        raise InvalidFrame(f"no column {_listed(missing)}", where=table.name, remedy=_columns(table))
    if extra and not table.open_ended:
        raise InvalidFrame(f"unknown column {_listed(extra)}", where=table.name, remedy=_columns(table))
    doubled = [name for name, times in Counter(column.lower() for column in columns).items() if times > 1]
    if doubled:
        raise InvalidFrame(
            f"columns differ in case only: {_listed(doubled)}", where=table.name, remedy="SQL cannot tell them apart"
        )


def _check_types(table: Table, found: pl.Schema, wanted: Schema) -> None:
    wrong = [
        f"{column} is {found[column]}, not {dtype}"
        for column, dtype in wanted.items()
        if found[column] != dtype and found[column] != pl.Null
    ]
    if wrong:
        raise InvalidFrame(_listed(wrong, quote=False), where=table.name, remedy="cast before writing")


def _check_keys(table: Table, frame: pl.DataFrame) -> None:
    if frame.is_empty():
        return
    nulls = [column for column in table.key if frame[column].null_count()]
    if nulls:
        raise InvalidFrame(f"null in the key column {_listed(nulls)}", where=table.name, remedy="a key has no gaps")
    if _ascends(table, frame):
        return
    doubled = frame.select(table.key).filter(pl.struct(table.key).is_duplicated())
    if len(doubled):
        example = ", ".join(f"{column}={value}" for column, value in doubled.row(0, named=True).items())
        raise InvalidFrame(
            f"{len(doubled):,} rows share their key, e.g. {example}",
            where=table.name,
            remedy=f"keep one row per ({', '.join(table.key)})",
        )


def _ascends(table: Table, frame: pl.DataFrame) -> bool:
    """Whether the last key column ascends strictly within unbroken runs of the others: then no key stands twice.

    True for nearly every frame that is written, and twenty times cheaper than counting distinct keys.
    """
    *prefix, last = table.key
    # the comparison with the row before the first is null: the first row begins a run
    begins = (
        pl.lit(False)
        if not prefix
        else pl.any_horizontal(pl.col(column).ne(pl.col(column).shift()) for column in prefix)
    )
    checks = frame.select(begins=begins.fill_null(True), falls=pl.col(last) <= pl.col(last).shift())
    if checks.select((pl.col("falls") & ~pl.col("begins")).any()).item():
        return False
    return not prefix or not frame.select(prefix).filter(checks["begins"]).is_duplicated().any()


def _columns(table: Table) -> str:
    further = " and Float64 columns" if table.open_ended else ""
    return f"the table has {', '.join(table.columns)}{further}"


def _listed(names: list[str], *, quote: bool = True, limit: int = 5) -> str:
    shown = ", ".join(repr(name) if quote else name for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
