"""The formats of recorded files: Parquet, CSV, freqtrade's Feather, and Binance's zipped CSV.

- A CSV file whose first field is a number has no header; its number of columns says whether Binance or Kraken wrote it.
- A zip holds one CSV file. Where its ``.CHECKSUM`` lies beside it, as Binance publishes it, it must agree.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.errors import InvalidFrame, SourceError

Headings = Mapping[int, tuple[str, ...]]
"""Number of fields -> the names of the columns of a CSV file without a header."""

FORMATS: Final = (".parquet", ".csv", ".csv.gz", ".feather", ".zip")
CHECKSUM_SUFFIX: Final = ".CHECKSUM"
BATCH_ROWS: Final = 250_000
"""Rows that are in memory at a time."""

_FAILURES: Final = (pl.exceptions.PolarsError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
_NAMES: Final = {
    ".parquet": "Parquet",
    ".feather": "Feather",
    ".zip": "a zip of one CSV file",
    **dict.fromkeys((".jsonl", ".ndjson"), "JSON lines"),
}
_PERIOD: Final = re.compile(r"-(\d{4})-(\d{2})(?:-(\d{2}))?\.zip$", re.IGNORECASE)


def scan(path: Path, headings: Headings) -> pl.LazyFrame:
    """Open a file lazily; values of CSV files are text.

    Raises
    ------
    SourceError
        If it is of another format, cannot be read, or its checksum does not agree.
    InvalidFrame
        If it has no header and another number of columns than ``headings`` knows.
    """
    try:
        kind = format_of(path)
        if path.stat().st_size == 0:
            raise SourceError("the file is empty", where=str(path), remedy="download or export it again")
        match kind:
            case ".parquet":
                return pl.scan_parquet(path, glob=False)
            case ".feather":
                return pl.scan_ipc(path, glob=False)
            case ".zip":
                content = _unzipped(path)
                return _scan_csv(content, _first_lines(content), path, headings)
            case suffix:
                with (gzip.open if suffix == ".csv.gz" else open)(path, "rb") as file:
                    lines = _first_lines(file.readline() + file.readline())
                return _scan_csv(path, lines, path, headings)
    except _FAILURES as error:
        raise unreadable(path, error) from None


def batches(lazy: pl.LazyFrame, path: Path) -> Iterator[pl.DataFrame]:
    """The rows in their order, some at a time.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    try:
        yield from lazy.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
    except _FAILURES as error:
        raise unreadable(path, error) from None


def schema_of(lazy: pl.LazyFrame, path: Path) -> pl.Schema:
    """The file's columns and their types.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    try:
        return lazy.collect_schema()
    except _FAILURES as error:
        raise unreadable(path, error) from None


def format_of(path: Path) -> str:
    """The suffix that tells the format.

    Raises
    ------
    SourceError
        If no format of ours has it.
    """
    for suffix in FORMATS:
        if path.name.lower().endswith(suffix):
            return suffix
    raise SourceError("not a format of candle files", where=str(path), remedy=f"use {', '.join(FORMATS)}")


def row_of(lazy: pl.LazyFrame, column: str, value: object) -> int:
    """The number of the first row that holds a value; the first row of data is 1."""
    found = lazy.select(column).with_row_index("row").filter(pl.col(column) == value).head(1).collect()
    return int(found["row"][0]) + 1


def unreadable(path: Path, error: Exception) -> SourceError:
    """What to say of a file that a reader gave up on."""
    kind = _NAMES.get(path.suffix.lower(), "CSV")
    reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
    return SourceError(f"cannot be read as {kind}: {reason}", where=str(path), remedy="replace the file")


@dataclass(frozen=True, slots=True)
class Period:
    """The month or day that a zip's name says it covers, e.g. ``BTCUSDT-1m-2025-01.zip``."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, path: Path) -> Period | None:
        """Read a file's name; None where it names no period."""
        named = _PERIOD.search(path.name)
        if named is None:
            return None
        year, month, day = (int(part) if part else 0 for part in named.groups())
        try:
            first = date(year, month, day or 1)
        except ValueError:
            return None
        after = first + timedelta(days=1) if day else date(year + month // 12, month % 12 + 1, 1)
        start, end = (datetime(at.year, at.month, at.day, tzinfo=UTC) for at in (first, after))
        return cls(start, end)


def of_window(paths: list[Path], start: datetime, end: datetime) -> dict[Path, list[Path]]:
    """The files that may hold rows of ``[start, end)``, each with those that complete it.

    Zips whose names say that they hold none need not be opened. Where the zip of a month is there, the zips of its days
    complete it.
    """
    named = {path: Period.of(path) for path in paths}
    inside = {path: at for path, at in named.items() if at is None or (at.start < end and start < at.end)}
    months = {path: at for path, at in inside.items() if at is not None and at.end - at.start > timedelta(1)}
    found: dict[Path, list[Path]] = {}
    for path, period in inside.items():
        holds = (
            month for month, at in months.items() if period and month != path and at.start <= period.start < at.end
        )
        month = None if path in months else next(holds, None)
        if month is None:
            found.setdefault(path, [])
        else:
            found.setdefault(month, []).append(path)
    return found


def _unzipped(path: Path) -> bytes:
    _verify(path)
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
        if len(members) != 1:
            raise SourceError(
                f"holds {len(members)} CSV files, not one", where=str(path), remedy="give each file a zip of its own"
            )
        return archive.read(members[0])


def _verify(path: Path) -> None:
    """Compare a file with its checksum, where that lies beside it (``<sha256>  <name>``)."""
    beside = path.with_name(path.name + CHECKSUM_SUFFIX)
    if not beside.is_file():
        return
    wanted = (beside.read_text().split() or [""])[0].lower()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise SourceError(
            f"its SHA-256 is {found[:12]}..., {beside.name} says {wanted[:12]}...",
            where=str(path),
            remedy="download the file again",
        )


def _first_lines(content: bytes) -> list[str]:
    """The first line, and the second where there is one."""
    text = content[:20_000].decode("utf-8-sig", errors="replace")
    return [line.strip() for line in text.split("\n")[:2]]


def _scan_csv(content: Path | bytes, lines: list[str], path: Path, headings: Headings) -> pl.LazyFrame:
    line, second = lines[0], lines[1] if len(lines) > 1 else ""
    fields = line.split(",")
    if len(fields) < len(second.split(",")):
        raise InvalidFrame(
            f"row 1 is no header but {line[:60]!r}: row 2 has {len(second.split(','))} columns",
            where=str(path),
            remedy="remove the line above the header",
        )
    if re.fullmatch(r"\d+(\.\d*)?", fields[0]) is None:
        return pl.scan_csv(content, infer_schema=False, glob=False)
    names = headings.get(len(fields))
    if names is None:
        raise InvalidFrame(
            f"no header, and {len(fields)} columns: row 1 is {line[:80]!r}",
            where=str(path),
            remedy=f"write a header; without one, only files of {' or '.join(map(str, headings))} columns are known",
        )
    return pl.scan_csv(content, infer_schema=False, glob=False, has_header=False, new_columns=list(names))
