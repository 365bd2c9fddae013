"""Times as files write them, made UTC.

- Times with a zone or an offset are converted.
- Times without one are refused unless the settings declare their zone: a guess would shift every candle by hours.
- Numbers are epoch times, which are UTC by definition. Seconds, milliseconds, microseconds and nanoseconds are
  told apart by their size, which is unambiguous for the years 2001 to 2286; a file that mixes them is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame

Unit = Literal["s", "ms", "us", "ns"]

_UNITS: Final[tuple[tuple[Unit, int], ...]] = (("s", 10**9), ("ms", 10**12), ("us", 10**15), ("ns", 10**18))
MICROSECONDS: Final[dict[Unit | None, int]] = {"s": 1_000_000, "ms": 1000, "us": 1}
"""Length of a unit; nanoseconds are finer than our times."""

_OFFSET: Final = r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_HOURS_ONLY: Final = r"(:\d{2}(?:\.\d+)?)\s*([+-]\d{2})$"
"""A time whose offset is whole hours, as PostgreSQL and DuckDB write it."""

_TEXT_FORMATS: Final = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_DECLARE: Final = "declare their zone under the source's `time_zone`, e.g. time_zone: UTC"


def to_utc(column: pl.Series, *, time_zone: str | None, where: str) -> pl.Series:
    """Convert a column of times to UTC microseconds.

    Parameters
    ----------
    column
        Datetimes, dates, numbers (epoch; fractions to the microsecond) or text (ISO 8601, or epoch digits).
    time_zone
        Zone of times that carry none; None refuses them.
    where
        The file and column, for messages.

    Returns
    -------
    polars.Series
        ``Datetime("us", "UTC")``; nulls stay null.

    Raises
    ------
    InvalidFrame
        If times carry no zone and none is declared, cannot be read, or mix units.
    """
    if column.dtype == pl.String:
        column = _from_text(column, where)
    if column.dtype.is_integer() or column.dtype.is_float():
        return _from_epoch(column, where)
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if not isinstance(column.dtype, pl.Datetime):
        raise InvalidFrame(
            f"times of type {column.dtype}", where=where, remedy="write datetimes with a zone, or epoch numbers"
        )
    if column.dtype.time_zone is None:
        return _from_local(column, time_zone, where)
    return column.dt.convert_time_zone("UTC").cast(TS)


def epoch_numbers(column: pl.Series) -> pl.Series | None:
    """A column of epoch times as numbers, whole where written so; None where its times are written otherwise."""
    if column.dtype.is_integer():
        return column
    if column.dtype.is_float():
        return column.fill_nan(None)
    present = column.drop_nulls() if column.dtype == pl.String else column.clear()
    if present.is_empty() or re.fullmatch(r"\d+(\.\d*)?", present[0]) is None:
        return None
    whole = column.cast(pl.Int64, strict=False)
    return whole if whole.null_count() == column.null_count() else column.cast(pl.Float64, strict=False)


def epoch_unit(values: pl.Series, where: str) -> Unit:
    """The unit of epoch times, by their size.

    Raises
    ------
    InvalidFrame
        If the values are no times after 2001, or of several units.
    """
    present = values.drop_nulls()
    lowest, highest = int(present.min()), int(present.max())  # type: ignore[arg-type]
    for unit, least in _UNITS:
        if least <= lowest and highest < least * 1000:
            return unit
    raise InvalidFrame(
        f"numbers from {lowest} to {highest} are not epoch times of one unit",
        where=where,
        remedy="write s, ms, us or ns since 1970-01-01 UTC, the same in every row",
    )


def _from_epoch(column: pl.Series, where: str) -> pl.Series:
    if column.null_count() == len(column):
        return column.cast(TS)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    unit = epoch_unit(column, where)
    if column.dtype.is_float():
        length = MICROSECONDS.get(unit, 1e-3)
        return (column * length).round().cast(pl.Int64).cast(TS)
    numbers = column.cast(pl.Int64)
    micros = {"s": numbers * 1_000_000, "ms": numbers * 1000, "us": numbers, "ns": numbers // 1000}[unit]
    return micros.cast(TS)


def _from_local(column: pl.Series, time_zone: str | None, where: str) -> pl.Series:
    if time_zone is None:
        raise InvalidFrame(f"times carry no time zone, e.g. {column.drop_nulls()[0]}", where=where, remedy=_DECLARE)
    try:
        placed = column.cast(pl.Datetime("us")).dt.replace_time_zone(time_zone)
    except pl.exceptions.PolarsError as error:
        reason = _unplaced(column, time_zone) or str(error).split("\n", 1)[0]
        raise InvalidFrame(
            f"times do not fit the zone {time_zone!r}: {reason}",
            where=where,
            remedy="export the file in UTC, or with an offset in each time",
        ) from None
    return placed.dt.convert_time_zone("UTC").cast(TS)


def _unplaced(column: pl.Series, time_zone: str) -> str:
    """The first local time that a change of the clocks makes twice or skips; empty where none does."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return "no such zone"
    local = column.cast(pl.Datetime("us"))
    for moment in (t for t in local.dt.truncate("1h").unique(maintain_order=True) if t is not None):
        folds = [moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
        if folds[0].utcoffset() == folds[1].utcoffset():
            continue
        twice = (folds[0].utcoffset() or timedelta()) > (folds[1].utcoffset() or timedelta())
        what = "happens twice: summer time ends" if twice else "does not exist: summer time begins"
        return f"{moment:%Y-%m-%d %H:%M} {what}"
    return ""


def _from_text(column: pl.Series, where: str) -> pl.Series:
    """Text as numbers, as datetimes without a zone, or as UTC datetimes."""
    present = column.drop_nulls()
    if present.is_empty():
        return column.cast(pl.Int64)
    if (numbers := epoch_numbers(column)) is not None:
        _refuse_unread(column, numbers, where)
        return numbers
    plain = column.str.replace(r"(\d)T(\d)", "$1 $2").str.replace(r"\s*(?:UTC|GMT)$", "Z")
    zoned = plain.str.contains(_OFFSET)
    # a date such as 2024-01-05 ends like an offset without hours; offsets need a time before them
    zoned = zoned & plain.str.contains(":")
    if zoned.all():
        full = plain.str.replace("Z$", "+00:00").str.replace(_HOURS_ONLY, "${1}${2}:00")
        offset = full.str.replace(r"\s*([+-]\d{2}):?(\d{2})$", "${1}:${2}")
        parsed = _parsed(offset, [f"{form}%:z" for form in _TEXT_FORMATS[:2]], "UTC")
    elif zoned.any():
        raise InvalidFrame("some times carry an offset and some do not", where=where, remedy="write all of them in UTC")
    else:
        parsed = _parsed(plain, _TEXT_FORMATS, None)
    _refuse_unread(column, parsed, where)
    return parsed.alias(column.name)


def _parsed(text: pl.Series, forms: Sequence[str], time_zone: str | None) -> pl.Series:
    """Datetimes by the first form that fits each; a further form is tried only where one did not."""
    found = text.str.to_datetime(forms[0], time_unit="us", time_zone=time_zone, strict=False)
    for form in forms[1:]:
        if found.null_count() == text.null_count():
            break
        found = pl.select(
            pl.coalesce(found, text.str.to_datetime(form, time_unit="us", time_zone=time_zone, strict=False))
        ).to_series()
    return found


def _refuse_unread(column: pl.Series, parsed: pl.Series, where: str) -> None:
    unread = column.filter(parsed.is_null() & column.is_not_null())
    if len(unread):
        raise InvalidFrame(
            f"{len(unread):,} times cannot be read, e.g. {unread[0]!r}",
            where=where,
            remedy="write ISO 8601 with an offset (2025-01-31T12:00:00Z) or epoch numbers",
        )
