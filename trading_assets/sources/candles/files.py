"""The ``files`` source: candles from Parquet, CSV, Feather and zipped CSV files.

A market has one path or a glob (``BTC-*.parquet``); several files follow each other in time. A file must be sorted by
time without a time twice, and may name its own ``symbol`` and ``timeframe``: if it does, they must agree with the
settings, and the usual step from row to row must be the timeframe. Files are read some rows at a time; Parquet's row
groups and Binance's months outside of the window are skipped. Where the zip of a month and zips of its days are there,
the month's rows count, and the days fill in what the month lacks or has broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.errors import InvalidFrame, SettingsError, SourceError
from trading_assets.core.missing_candles import missing_times
from trading_assets.settings import FilesSource, from_root
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.files.candle_file import CandleFile, inspect
from trading_assets.sources.files.formats import CHECKSUM_SUFFIX, Period, of_window
from trading_assets.sources.ingest.candle_validation import split_valid
from trading_assets.sources.window import check_window

_ALL_CLOSED: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=400)
"""When every bar of a file has ended."""


@dataclass(frozen=True, slots=True)
class FileCandles:
    """Candles from the files of each market.

    Parameters
    ----------
    name
        ``files:`` and the source's name in the settings.
    paths
        Market -> path or glob; relative ones start at the project's folder.
    columns
        Our column -> the file's column, where they differ.
    time_zone
        Zone of times that carry none; None refuses them.
    """

    name: str
    paths: Mapping[str, str]
    columns: Mapping[str, str]
    time_zone: str | None = None
    synthetic: bool = False
    retries: int = 0

    @classmethod
    def from_settings(cls, name: str, settings: FilesSource) -> FileCandles:
        """Read the settings of a source called ``name``.

        Raises
        ------
        SettingsError
            If the column mapping names a column that candles do not have.
        """
        unknown = [column for column in settings.columns if column not in RAW_COLUMNS]
        if unknown:
            raise SettingsError(
                f"candles have no column {', '.join(unknown)}",
                where=f"sources.{name}.columns",
                remedy=f"map {', '.join(RAW_COLUMNS)} (ours) to the file's names",
            )
        return cls(f"files:{name}", settings.paths, settings.columns, settings.time_zone)

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield the candles that open in ``[start, end)``, file by file.

        Raises
        ------
        SourceError
            If the market has no path, no file matches, or a file cannot be read.
        InvalidFrame
            If a file lacks columns, is unsorted, repeats a time, has times without a zone, or says that it holds
            another symbol or timeframe.
        SettingsError
            If ``start`` is not before ``end``.
        """
        check_window(market, start, end)
        for file, days in self._files(market, timeframe, start, end):
            if days:
                yield from self._completed(file, days, market, timeframe, start, end)
            elif file.first < end and file.last >= start:
                yield from file.pages(start, end)

    def recorded_in(self, market: str) -> str:
        """The path or glob of a market's files.

        Raises
        ------
        SourceError
            If the market has none.
        """
        self.check(market)
        return self.paths[market]

    def check(self, market: str) -> None:
        """Raise ``SourceError`` if the market has no path."""
        if market not in self.paths:
            raise SourceError(
                f"{self.name} has no path for this market",
                where=market,
                remedy=f"add one under `paths`; it has {', '.join(self.paths)}",
            )

    def _files(
        self, market: str, timeframe: str, start: datetime, end: datetime
    ) -> list[tuple[CandleFile, list[Path]]]:
        """The market's files that may reach into a window, in the order of time, inspected; with the days of months."""
        self.check(market)
        paths = of_window(matching(self.paths[market], market), start, end)
        files = [(self._inspected(path, market, timeframe), days) for path, days in paths.items()]
        files.sort(key=lambda found: found[0].first)
        for before, after in pairwise(file for file, _ in files):
            if after.first <= before.last:
                raise InvalidFrame(
                    f"begins at {after.first:%Y-%m-%d %H:%M} UTC, before {before.path.name} ends "
                    f"({before.last:%Y-%m-%d %H:%M} UTC)",
                    where=str(after.path),
                    remedy="let the files of a market follow each other without overlap",
                )
        return files

    def _inspected(self, path: Path, market: str, timeframe: str) -> CandleFile:
        return inspect(path, market, timeframe, tuple(self.columns.items()), self.time_zone)

    def _completed(
        self, month: CandleFile, days: list[Path], market: str, timeframe: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """The rows of a month's file, with those of its days' files at whose times it has no good row."""
        rows, period = _rows(month, start, end), Period.of(month.path)
        assert period is not None
        begin, stop = max(start, period.start), min(end, period.end)
        good, _ = split_valid(rows, market=market, timeframe=timeframe, start=start, end=end, now=_ALL_CLOSED)
        missing = missing_times(good["ts"], timeframe, begin, stop)
        wanted = {f"{day:%Y-%m-%d}" for day in missing.dt.truncate("1d").unique()}
        files = [self._inspected(day, market, timeframe) for day in days if day.stem[-len("2025-01-31") :] in wanted]
        whole = pl.concat([rows, *(_rows(file, start, end).join(good, on="ts", how="anti") for file in files)])
        if whole.height:
            yield whole.sort("ts", maintain_order=True)


def matching(pattern: str, market: str) -> list[Path]:
    """The files that a market's path or glob (``*``, ``**``) means, sorted by name.

    Raises
    ------
    SourceError
        If there is none, or it is a folder.
    """
    path = from_root(pattern)
    if path.is_dir():
        raise SourceError("is a folder", where=str(path), remedy=f"give a file or a glob such as {path.name}/*.parquet")
    if path.is_file():
        return [path]
    plain = list(takewhile(lambda part: not set(part) & set("*?["), path.parts))
    folder = Path(*plain) if len(plain) < len(path.parts) else path.parent
    files = sorted(
        file
        for file in folder.glob(str(path.relative_to(folder)))
        if file.is_file() and not file.name.endswith(CHECKSUM_SUFFIX)
    )
    if not files:
        raise SourceError("no such file", where=str(path), remedy=f"mend the path of {market} in the settings")
    return files


def _rows(file: CandleFile, start: datetime, end: datetime) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=RAW_COLUMNS), *file.pages(start, end)])
