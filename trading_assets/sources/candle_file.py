"""One Parquet or CSV file of candles: looked over once as a whole, then read by window."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.candles import OHLCV, Market, timeframe_delta, timeframe_minutes
from trading_assets.errors import InvalidFrame, SettingsError, SourceError
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.timestamps import Unit, epoch_unit, to_utc

Columns = tuple[tuple[str, str], ...]
"""Pairs of our column and the file's."""

_SCANNERS: Final[dict[str, Callable[[Path], pl.LazyFrame]]] = {
    ".parquet": pl.scan_parquet,
    ".csv": lambda path: pl.scan_csv(path, infer_schema=False),
    ".csv.gz": lambda path: pl.scan_csv(path, infer_schema=False),
}
_MICROSECONDS: Final[dict[Unit, int]] = {"s": 1_000_000, "ms": 1000, "us": 1}
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CandleFile:
    """A file that passed inspection.

    Attributes
    ----------
    path
        The file.
    columns
        Our columns and the file's.
    time_zone
        Zone of its times, where they carry none.
    first, last
        Open times of its first and last row.
    epoch
        The unit of its times, where they are whole numbers.
    """

    path: Path
    columns: Columns
    time_zone: str | None
    first: datetime
    last: datetime
    epoch: Unit | None

    def read(self, start: datetime, end: datetime) -> pl.DataFrame:
        """The rows that open in ``[start, end)``, in the columns of ``RAW_COLUMNS``.

        Raises
        ------
        InvalidFrame
            If a price or volume is not a number.
        SourceError
            If the file cannot be read.
        """
        names = dict(self.columns)
        lazy = _scan(self.path)
        near = self._near(lazy.collect_schema()[names["ts"]], names["ts"], start, end)
        if near is not None:
            lazy = lazy.filter(near)
        rows = _collect(lazy.select(pl.col(theirs).alias(ours) for ours, theirs in self.columns), self.path)
        times = to_utc(rows["ts"], time_zone=self.time_zone, where=_place(self.path, names["ts"]))
        rows = rows.with_columns(times.alias("ts")).filter(pl.col("ts").is_between(start, end, closed="left"))
        return rows.with_columns(_numbers(rows[name], self.path) for name in OHLCV).select(list(RAW_COLUMNS))

    def _near(self, dtype: pl.DataType, name: str, start: datetime, end: datetime) -> pl.Expr | None:
        """A filter on the file's own column that a reader can push down; it may let a day too much through."""
        column = pl.col(name)
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
            low, high = (pl.lit(at).dt.convert_time_zone(dtype.time_zone) for at in (start, end))
            return column.is_between(low, high, closed="left")
        if isinstance(dtype, pl.Datetime):
            return column.is_between((start - _A_DAY).replace(tzinfo=None), (end + _A_DAY).replace(tzinfo=None))
        if dtype.is_integer() and self.epoch in _MICROSECONDS:
            least, most = (int(at.timestamp()) * 1_000_000 // _MICROSECONDS[self.epoch] for at in (start, end + _A_DAY))
            return column.is_between(least, most)
        return None


def inspect(path: Path, market: str, timeframe: str, columns: Columns, time_zone: str | None) -> CandleFile:
    """Look a file over: columns, order, uniqueness and zone of its times, and what it says that it holds.

    A file that did not change since is not read again.

    Raises
    ------
    SourceError
        If it cannot be read or is of another format.
    InvalidFrame
        If it breaks what :mod:`trading_assets.sources.files` asks of a file.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return _inspected(path, market, timeframe, columns, time_zone, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=256)
def _inspected(
    path: Path, market: str, timeframe: str, columns: Columns, time_zone: str | None, state: tuple[int, int]
) -> CandleFile:
    lazy = _scan(path)
    schema = _schema(lazy, path)
    _check_columns(schema, columns, path)
    time_column = dict(columns)["ts"]
    declared = [name for name in ("symbol", "timeframe") if name in schema.names()]
    for name in declared:
        _check_declared(lazy, path, name, market, timeframe)
    raw = _collect(lazy.select(time_column), path)[time_column]
    place = _place(path, time_column)
    if raw.is_empty():
        raise InvalidFrame("no rows", where=str(path), remedy="remove the file or fill it")
    if raw.null_count():
        row = raw.is_null().arg_max()
        raise InvalidFrame(f"{raw.null_count():,} rows have no time, the first is row {(row or 0) + 1}", where=place)
    times = to_utc(raw, time_zone=time_zone, where=place)
    _check_order(times, place)
    _check_step(times, path, market, timeframe)
    epoch = epoch_unit(raw, place) if raw.dtype.is_integer() else None
    return CandleFile(path, columns, time_zone, times[0], times[-1], epoch)


def _scan(path: Path) -> pl.LazyFrame:
    for suffix, scan in _SCANNERS.items():
        if path.name.lower().endswith(suffix):
            return scan(path)
    raise SourceError("not a format of candle files", where=str(path), remedy=f"use {', '.join(_SCANNERS)}")


def _schema(lazy: pl.LazyFrame, path: Path) -> pl.Schema:
    try:
        return lazy.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from None


def _collect(lazy: pl.LazyFrame, path: Path) -> pl.DataFrame:
    try:
        return lazy.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> SourceError:
    kind = "Parquet" if path.suffix == ".parquet" else "CSV"
    reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
    return SourceError(f"cannot be read as {kind}: {reason}", where=str(path), remedy="replace the file")


def _check_columns(schema: pl.Schema, columns: Columns, path: Path) -> None:
    missing = [
        f"{ours} (as {theirs!r})" if ours != theirs else ours for ours, theirs in columns if theirs not in schema
    ]
    if missing:
        raise InvalidFrame(
            f"no column {', '.join(missing)}; the file has {', '.join(schema.names())}",
            where=str(path),
            remedy="map ours to the file's under the source's `columns`, e.g. columns: {ts: open_time}",
        )
    for ours, theirs in columns:
        if ours != "ts" and not (schema[theirs].is_numeric() or schema[theirs] == pl.String):
            raise InvalidFrame(f"{theirs} is {schema[theirs]}, not a number", where=str(path))


def _check_order(times: pl.Series, place: str) -> None:
    steps = times.to_physical().diff()
    if (steps > 0).all():
        return
    row = (steps <= 0).fill_null(False).arg_max()
    assert row is not None
    found = f"row {row + 1} is at {times[row]}, the row before it at {times[row - 1]}"
    if (steps >= 0).all():
        raise InvalidFrame(f"duplicated times: {found}", where=place, remedy="keep one row per time")
    raise InvalidFrame(f"not sorted by time: {found}", where=place, remedy="sort the file by time")


def _check_step(times: pl.Series, path: Path, market: str, timeframe: str) -> None:
    """Whether most rows are one bar apart; gaps may make some steps longer."""
    steps = times.diff().drop_nulls().mode().sort()
    if len(steps) and timeframe_delta(timeframe) not in steps:
        raise InvalidFrame(
            f"its rows are {steps[0]} apart, but the timeframe is {timeframe}",
            where=str(path),
            remedy=f"set the timeframe of {market} to that of the file",
        )


def _check_declared(lazy: pl.LazyFrame, path: Path, column: str, market: str, timeframe: str) -> None:
    """Whether the file's own ``symbol`` or ``timeframe`` column says what the settings say."""
    found = [str(value) for value in _collect(lazy.select(pl.col(column).unique()), path)[column]]
    wanted = timeframe if column == "timeframe" else Market.parse(market).symbol
    agrees = _same_timeframe if column == "timeframe" else _same_symbol
    others = [value for value in found if not agrees(value, wanted)]
    if others:
        raise InvalidFrame(
            f"its column {column!r} says {', '.join(sorted(others)[:3])}, the settings say {wanted}",
            where=str(path),
            remedy=f"mend the path or the {'timeframe' if column == 'timeframe' else 'name'} of {market}",
        )


def _same_timeframe(found: str, wanted: str) -> bool:
    try:
        return timeframe_minutes(found) == timeframe_minutes(wanted)
    except SettingsError:
        return False


def _same_symbol(found: str, wanted: str) -> bool:
    """Whether a symbol is ours: exactly, or as exchanges write it without separators (BTCUSDT, BTC-USDT)."""
    if "/" in found:
        return found == wanted
    return re.sub(r"[^A-Z0-9]", "", found.upper()) == re.sub(r"[^A-Z0-9]", "", wanted.split(":")[0])


def _numbers(column: pl.Series, path: Path) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    unread = column.filter(numbers.is_null() & column.is_not_null())
    if len(unread):
        raise InvalidFrame(
            f"{len(unread):,} values are not numbers, e.g. {unread[0]!r}",
            where=_place(path, column.name),
            remedy="write plain decimal numbers; leave a missing value empty",
        )
    return numbers


def _place(path: Path, column: str) -> str:
    return f"{path}, column {column}"
