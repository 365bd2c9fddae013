"""One file of candles: looked over once as a whole, then read by window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.candles import OHLCV, Market, timeframe_delta, timeframe_minutes
from trading_assets.core.errors import InvalidFrame, SettingsError, SourceError
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.files.columns import HEADINGS, Columns, find_columns
from trading_assets.sources.files.formats import Period, batches, row_of, scan, schema_of
from trading_assets.sources.files.timestamps import MICROSECONDS, Unit, epoch_numbers, epoch_unit, to_utc

_A_DAY: Final = timedelta(days=1)
_DATED: Final = r"^\d{4}-\d{2}-\d{2}"


@dataclass(frozen=True, slots=True)
class CandleFile:
    """A file that passed inspection.

    Attributes
    ----------
    path
        The file.
    market
        Whose rows count, where the file names a ``market`` in each row, as a copy of the store's table does.
    columns
        Our columns and the file's.
    time_zone
        Zone of its times, where they carry none.
    first, last
        Open times of its first and last row.
    epoch
        The unit of its times, where they are whole numbers.
    dated
        Whether its times are text that begins with a date such as 2025-01-05, so that text compares like time.
    """

    path: Path
    market: str
    columns: Columns
    time_zone: str | None
    first: datetime
    last: datetime
    epoch: Unit | None
    dated: bool

    def pages(self, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """The rows that open in ``[start, end)``, in the columns of ``RAW_COLUMNS``, some at a time.

        Raises
        ------
        InvalidFrame
            If a price or volume is not a number.
        SourceError
            If the file cannot be read.
        """
        names = dict(self.columns)
        lazy = _rows_of(self.path, self.market)
        near = self._near(lazy.collect_schema()[names["ts"]], names["ts"], start, end)
        wanted = lazy if near is None else lazy.filter(near)
        for batch in batches(wanted.select(pl.col(theirs).alias(ours) for ours, theirs in self.columns), self.path):
            times = to_utc(batch["ts"], time_zone=self.time_zone, where=_place(self.path, names["ts"]))
            rows = batch.with_columns(times.alias("ts")).filter(pl.col("ts").is_between(start, end, closed="left"))
            if rows.height:
                numbers = (numbers_of(rows[ours], lazy, names[ours], self.path) for ours in OHLCV)
                yield rows.with_columns(numbers).select(list(RAW_COLUMNS))

    def _near(self, dtype: pl.DataType, name: str, start: datetime, end: datetime) -> pl.Expr | None:
        """A filter on the file's own column that a reader can push down; it may let a day too much through."""
        column = pl.col(name)
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
            low, high = (pl.lit(at).dt.convert_time_zone(dtype.time_zone) for at in (start, end))
            return column.is_between(low, high, closed="left")
        if isinstance(dtype, pl.Datetime):
            return column.is_between((start - _A_DAY).replace(tzinfo=None), (end + _A_DAY).replace(tzinfo=None))
        if self.epoch in MICROSECONDS:
            # a float may lie a little below the time that it is rounded to
            least, most = (
                int(at.timestamp()) * 1_000_000 // MICROSECONDS[self.epoch] for at in (start - _A_DAY, end + _A_DAY)
            )
            return column.cast(pl.Float64, strict=False).is_between(least, most)
        if self.dated:  # the day that it names is at most a day from UTC's
            return column.str.slice(0, 10).is_between(
                pl.lit(f"{start - _A_DAY:%Y-%m-%d}"), pl.lit(f"{end + _A_DAY:%Y-%m-%d}")
            )
        return None


def inspect(path: Path, market: str, timeframe: str, columns: Columns, time_zone: str | None) -> CandleFile:
    """Look a file over: columns, order, uniqueness and zone of its times, and what it says that it holds.

    A file that did not change since is not read again.

    Parameters
    ----------
    columns
        Our columns and the file's, where they differ.

    Raises
    ------
    SourceError
        If it cannot be read or is of another format.
    InvalidFrame
        If it breaks what :mod:`trading_assets.sources.candles.files` asks of a file.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return _inspected(path, market, timeframe, columns, time_zone, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=4096)
def _inspected(
    path: Path, market: str, timeframe: str, columns: Columns, time_zone: str | None, state: tuple[int, int]
) -> CandleFile:
    lazy = _rows_of(path, market)
    schema = schema_of(lazy, path)
    columns = find_columns(schema, dict(columns), path)
    for declared in [column for column in ("symbol", "timeframe") if column in schema.names()]:
        _check_declared(lazy, path, declared, market, timeframe)
    name = dict(columns)["ts"]
    look = _Look(_place(path, name), time_zone)
    for batch in batches(lazy.select(name), path):
        look.over(batch[name])
    if look.first is None or look.last is None:
        what = f"no rows of {market}" if "market" in schema else "no rows"
        raise InvalidFrame(what, where=str(path), remedy="remove the file or fill it")
    _check_step(look.steps, path, market, timeframe)
    _check_name(path, look.first, look.last)
    return CandleFile(path, market, columns, time_zone, look.first, look.last, look.epoch, look.dated)


def _rows_of(path: Path, market: str) -> pl.LazyFrame:
    lazy = scan(path, HEADINGS)
    return lazy.filter(pl.col("market") == market) if "market" in schema_of(lazy, path) else lazy


@dataclass(slots=True)
class _Look:
    """The times of a file, looked over some at a time."""

    place: str
    time_zone: str | None
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    epoch: Unit | None = None
    dated: bool = True
    steps: pl.Series | None = None

    def over(self, raw: pl.Series) -> None:
        """Look over the next rows.

        Raises
        ------
        InvalidFrame
            If one has no time, its time is unreadable or of another unit, or does not follow the one before it.
        """
        if raw.null_count():
            row = self.rows + (raw.is_null().arg_max() or 0) + 1
            raise InvalidFrame(
                f"{raw.null_count():,} rows have no time, the first is row {row}",
                where=self.place,
                remedy="remove these rows or give them their time",
            )
        if raw.is_empty():
            return
        times = to_utc(raw, time_zone=self.time_zone, where=self.place)
        numbers = epoch_numbers(raw)
        unit = None if numbers is None else epoch_unit(numbers, self.place)
        if self.rows and unit != self.epoch:
            raise InvalidFrame(
                f"times in {self.epoch or 'text'} up to row {self.rows}, then in {unit or 'text'}",
                where=self.place,
                remedy="write one unit in every row",
            )
        self._check_order(times)
        if self.first is None:
            self.first, self.steps = times[0], times.diff().drop_nulls().mode().sort()
        self.dated = self.dated and raw.dtype == pl.String and bool(raw.str.contains(_DATED).all())
        self.epoch, self.last, self.rows = unit, times[-1], self.rows + len(times)

    def _check_order(self, times: pl.Series) -> None:
        before = pl.Series([self.last], dtype=times.dtype) if self.last else times.clear()
        joined = pl.concat([before, times])
        steps = joined.to_physical().diff()
        late = (steps <= 0).fill_null(False)
        if not late.any():
            return
        at = late.arg_max()
        assert at is not None
        row = self.rows - len(before) + at
        found = f"row {row + 1} is at {joined[at]}, the row before it at {joined[at - 1]}"
        if (steps.drop_nulls() >= 0).all():
            raise InvalidFrame(f"duplicated times: {found}", where=self.place, remedy="keep one row per time")
        if (steps.drop_nulls() <= 0).all():
            raise InvalidFrame(
                f"the newest row comes first: {found}", where=self.place, remedy="turn the file round: oldest row first"
            )
        raise InvalidFrame(f"not sorted by time: {found}", where=self.place, remedy="sort the file by time")


def _check_step(steps: pl.Series | None, path: Path, market: str, timeframe: str) -> None:
    """Whether most rows are one bar apart; gaps may make some steps longer."""
    if steps is not None and len(steps) and timeframe_delta(timeframe) not in steps:
        raise InvalidFrame(
            f"its rows are {steps[0]} apart, but the timeframe is {timeframe}",
            where=str(path),
            remedy=f"set the timeframe of {market} to that of the file",
        )


def _check_name(path: Path, first: datetime, last: datetime) -> None:
    """Whether a file holds nothing but the month or day in its name: by the name it is passed over."""
    period = Period.of(path)
    if period is not None and not period.start <= first <= last < period.end:
        raise InvalidFrame(
            f"holds {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, its name says {period.start:%Y-%m-%d} up to "
            f"{period.end:%Y-%m-%d}",
            where=str(path),
            remedy="give it the name under which it was published, or one without a date",
        )


def _check_declared(lazy: pl.LazyFrame, path: Path, column: str, market: str, timeframe: str) -> None:
    """Whether the file's own ``symbol`` or ``timeframe`` column says what the settings say."""
    found = {str(value) for batch in batches(lazy.select(pl.col(column).unique()), path) for value in batch[column]}
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


def numbers_of(column: pl.Series, lazy: pl.LazyFrame, name: str, path: Path) -> pl.Series:
    """A column as Float64; empty stays null.

    Raises
    ------
    InvalidFrame
        Names the file, the row and the value that is no number.
    """
    numbers = column.cast(pl.Float64, strict=False)
    unread = column.filter(numbers.is_null() & column.is_not_null())
    if len(unread):
        raise InvalidFrame(
            f"{len(unread):,} values are not numbers, e.g. {unread[0]!r} in row {row_of(lazy, name, unread[0])}",
            where=_place(path, name),
            remedy="write plain decimal numbers; leave a missing value empty",
        )
    return numbers


def _place(path: Path, column: str) -> str:
    return f"{path}, column {column}"
