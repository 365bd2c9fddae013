"""Funding payments from files: Binance's public data (zipped or not), freqtrade's Feather, Parquet and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.errors import InvalidFrame, SettingsError, SourceError
from trading_assets.settings import FilesSource
from trading_assets.sources.candles.files import matching
from trading_assets.sources.contract import RAW_FUNDING
from trading_assets.sources.files.candle_file import numbers_of
from trading_assets.sources.files.formats import Headings, batches, of_window, scan, schema_of
from trading_assets.sources.files.timestamps import to_utc
from trading_assets.sources.window import check_window

BINANCE_FUNDING: Final = {"ts": "calc_time", "interval_hours": "funding_interval_hours", "rate": "last_funding_rate"}
"""Our columns and those of Binance's public funding rates."""

FREQTRADE_FUNDING: Final = {"ts": "date", "rate": "open"}
"""Our columns and those of freqtrade's funding rates, which it keeps as candles."""

_HEADINGS: Final[Headings] = {len(BINANCE_FUNDING): tuple(BINANCE_FUNDING.values())}
_NEEDED: Final = ("ts", "rate")


@dataclass(frozen=True, slots=True)
class FundingFiles:
    """Funding payments from the files of each market; rows may come in any order."""

    name: str
    paths: Mapping[str, str]
    columns: Mapping[str, str]
    time_zone: str | None = None

    @classmethod
    def from_settings(cls, name: str, settings: FilesSource) -> FundingFiles:
        """Read the settings of a source called ``name``.

        Raises
        ------
        SettingsError
            If the column mapping names a column that payments do not have.
        """
        unknown = [column for column in settings.funding_columns if column not in RAW_FUNDING]
        if unknown:
            raise SettingsError(
                f"payments have no column {', '.join(unknown)}",
                where=f"sources.{name}.funding_columns",
                remedy=f"map {', '.join(RAW_FUNDING)} (ours) to the file's names",
            )
        return cls(f"files:{name}", settings.funding, settings.funding_columns, settings.time_zone)

    def fetch(self, market: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield the payments settled in ``[start, end)``, file by file.

        Raises
        ------
        SourceError
            If the market has no path, no file matches, or a file cannot be read.
        InvalidFrame
            If a file lacks time or rate, a time has no zone or cannot be read, or a value is no number.
        """
        check_window(market, start, end)
        if market not in self.paths:
            raise SourceError(
                f"{self.name} has no funding rates of this market", where=market, remedy="add a path under `funding`"
            )
        for path in of_window(matching(self.paths[market], market), start, end):
            for page in self._pages(path):
                yield page.filter(pl.col("ts").is_between(start, end, closed="left").fill_null(True))

    def _pages(self, path: Path) -> Iterator[pl.DataFrame]:
        lazy = scan(path, _HEADINGS)
        names = self._names(schema_of(lazy, path), path)
        for batch in batches(lazy.select(pl.col(theirs).alias(ours) for ours, theirs in names.items()), path):
            ts = to_utc(batch["ts"], time_zone=self.time_zone, where=f"{path}, column {names['ts']}")
            numbers = {
                ours: numbers_of(batch[ours], lazy, names[ours], path) if ours in names else pl.lit(None, pl.Float64)
                for ours in RAW_FUNDING
                if ours != "ts"
            }
            yield batch.select(ts.alias("ts"), **numbers)

    def _names(self, schema: pl.Schema, path: Path) -> dict[str, str]:
        """Our columns and the file's, for those that it has."""
        known = [BINANCE_FUNDING, FREQTRADE_FUNDING, {name: name for name in RAW_FUNDING}]
        usual = next((names for names in known if all(names[ours] in schema for ours in _NEEDED)), known[-1])
        wanted = {**usual, **self.columns}
        missing = [ours for ours in {*_NEEDED, *self.columns} if wanted[ours] not in schema]
        if missing:
            raise InvalidFrame(
                f"no column {', '.join(sorted(missing))}; the file has {', '.join(schema.names())}",
                where=str(path),
                remedy="map ours to the file's under the source's `funding_columns`, e.g. {ts: time, rate: funding}",
            )
        return {ours: theirs for ours, theirs in wanted.items() if theirs in schema}
