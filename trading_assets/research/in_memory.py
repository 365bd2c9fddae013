"""Frames in memory in the place of stored tables: what reads a store reads them, by the same code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Never

import polars as pl

from trading_assets.core.errors import InvalidFrame, StoreError
from trading_assets.core.timeframes import Timeframe
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BARS, CANDLES, Table

Where = Mapping[str, str | int | Sequence[str]]


def bars(candles: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """Build bars from candles in memory, by the SQL model that makes the stored ones.

    Parameters
    ----------
    candles
        Of the table ``candles``: one market, one timeframe.
    timeframe
        Of the bars, e.g. ``"1h"``; coarser than the candles.

    Returns
    -------
    polars.DataFrame
        Rows of the table ``bars_...``. The newest bar is there once a candle at its end or later is.

    Raises
    ------
    InvalidFrame
        If these are the candles of several markets or timeframes.
    """
    of = candles.select("market", "timeframe").unique()
    if of.height > 1:
        raise InvalidFrame(f"candles of {of.rows()}", where="bars", remedy="give those of one market and timeframe")
    table = BARS[Timeframe.parse(timeframe).name]
    if candles.is_empty():
        return pl.DataFrame(schema=table.columns)
    ((market, finest),) = of.rows()
    start, newest = candles.select(pl.col("ts").min(), pl.col("ts").max().alias("newest")).row(0)
    end = newest + Timeframe.parse(finest).length
    with TemporaryDirectory(prefix="trading-bars-") as folder:
        store = open_store(f"duckdb:///{Path(folder) / 'candles.duckdb'}")
        store.upsert(CANDLES, candles)
        model = load_models()[table.name]
        return build_bars(store, model, market=market, timeframe=finest, start=start, end=end)


class FramesOver:
    """A store of which some tables are frames in memory; it reads, and writes nothing.

    Parameters
    ----------
    store
        Where all other tables are.
    frames
        Table -> the frame that stands for all of it; columns as in the table, further ones where it is open-ended.

    Raises
    ------
    InvalidFrame
        If a frame lacks a key of its table.
    """

    def __init__(self, store: Store, frames: Mapping[str, tuple[Table, pl.DataFrame]]) -> None:
        self._store = store
        self._frames = {name: frame.sort(table.key) for name, (table, frame) in frames.items() if _fits(table, frame)}

    @classmethod
    def of(cls, store: Store, *frames: tuple[Table, pl.DataFrame | None]) -> Store:
        """The store, over which those frames lie that are there."""
        given = {table.name: (table, frame) for table, frame in frames if frame is not None}
        return cls(store, given) if given else store

    def read(
        self,
        table: Table,
        *,
        where: Where | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """As of the store; see :class:`trading_assets.store.Store`."""
        if table.name not in self._frames:
            return self._store.read(table, where=where, start=start, end=end, columns=columns)
        found = self._rows(table, where)
        if start is not None:
            found = found.filter(pl.col(table.time) >= start)
        if end is not None:
            found = found.filter(pl.col(table.time) < end)
        return found if columns is None else found.select(columns)

    def tail(self, table: Table, *, where: Mapping[str, str | int], before: datetime, rows: int) -> pl.DataFrame:
        """As of the store."""
        if table.name not in self._frames:
            return self._store.tail(table, where=where, before=before, rows=rows)
        return self._rows(table, where).filter(pl.col(table.time) < before).sort(table.time).tail(max(rows, 0))

    def bounds(self, table: Table, *, where: Where | None = None) -> tuple[datetime, datetime] | None:
        """As of the store."""
        if table.name not in self._frames:
            return self._store.bounds(table, where=where)
        times = self._rows(table, where)[table.time]
        return None if times.is_empty() else (times.min(), times.max())  # type: ignore[return-value]

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """As of the store, whose own tables it reads: no query sees the frames."""
        return self._store.query(sql, parameters)

    def kept_open(self) -> AbstractContextManager[None]:
        """As of the store."""
        return self._store.kept_open()

    def close(self) -> None:
        """As of the store."""
        self._store.close()

    def upsert(self, table: Table, frame: pl.DataFrame) -> Never:
        """Refuse: what is tried in memory leaves no table."""
        raise _refusal(table)

    def upsert_together(self, parts: Sequence[tuple[Table, pl.DataFrame]]) -> Never:
        """Refuse."""
        raise _refusal(*(table for table, _ in parts))

    def replace(
        self,
        table: Table,
        frame: pl.DataFrame,
        *,
        where: Mapping[str, str | int],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Never:
        """Refuse."""
        raise _refusal(table)

    def replace_together(self, parts: Sequence[tuple[Table, pl.DataFrame]], *, where: Mapping[str, str | int]) -> Never:
        """Refuse."""
        raise _refusal(*(table for table, _ in parts))

    def prepare(self, tables: Iterable[Table]) -> Never:
        """Refuse."""
        raise _refusal(*tables)

    def _rows(self, table: Table, where: Where | None) -> pl.DataFrame:
        found = self._frames[table.name]
        for column, value in (where or {}).items():
            one = isinstance(value, str | int)
            found = found.filter(pl.col(column) == value if one else pl.col(column).is_in(list(value)))  # type: ignore[arg-type]
        return found


def _fits(table: Table, frame: pl.DataFrame) -> bool:
    if lacking := [name for name in (*table.key, table.time) if name not in frame.columns]:
        raise InvalidFrame(f"no column {', '.join(lacking)}", where=f"frame in the place of {table.name}")
    return True


def _refusal(*tables: Table) -> StoreError:
    names = ", ".join(table.name for table in tables)
    return StoreError("frames in memory are not written", where=names, remedy="write to the project's own store")


_is_a_store: Callable[[FramesOver], Store] = lambda over: over  # noqa: E731  # the type checker compares the two
