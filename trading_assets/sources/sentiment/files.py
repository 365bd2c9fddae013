"""Sentiment scores from files: Parquet, CSV, Feather or JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.settings import SentimentFiles
from trading_assets.sources.candles.files import matching
from trading_assets.sources.contract import RAW_SENTIMENT
from trading_assets.sources.files.candle_file import numbers_of
from trading_assets.sources.files.formats import batches, scan, schema_of
from trading_assets.sources.files.timestamps import to_utc
from trading_assets.sources.sentiment.scale import scaled

_JSON_LINES: Final = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class ScoreFiles:
    """All scores of some files."""

    name: str
    settings: SentimentFiles
    live: bool = False

    @classmethod
    def from_settings(cls, name: str, settings: SentimentFiles) -> ScoreFiles:
        """Read the settings of a provider called ``name``.

        Raises
        ------
        SettingsError
            If the column mapping names a column that scores do not have.
        """
        unknown = [column for column in settings.columns if column not in RAW_SENTIMENT]
        if unknown:
            raise SettingsError(
                f"scores have no column {', '.join(unknown)}",
                where=f"sentiment.{name}.columns",
                remedy=f"map {', '.join(RAW_SENTIMENT)} (ours) to the file's names",
            )
        return cls(name, settings)

    def fetch(self) -> pl.DataFrame:
        """The scores of all files, scaled.

        Raises
        ------
        SourceError
            If no file matches or one cannot be read.
        InvalidFrame
            If a file lacks time or score, or does not say when its scores were known and the settings neither.
        """
        paths = matching(self.settings.path, f"sentiment.{self.name}")
        return pl.concat([pl.DataFrame(schema=RAW_SENTIMENT), *(page for path in paths for page in self._pages(path))])

    def _pages(self, path: Path) -> Iterator[pl.DataFrame]:
        lazy = pl.scan_ndjson(path) if path.suffix.lower() in _JSON_LINES else scan(path, {})
        names = self._names(schema_of(lazy, path), path)
        for batch in batches(lazy.select(sorted(set(names.values()))), path):
            yield self._page(batch, lazy, names, path)

    def _page(self, batch: pl.DataFrame, lazy: pl.LazyFrame, names: dict[str, str], path: Path) -> pl.DataFrame:
        def time(ours: str) -> pl.Series | pl.Expr:
            if ours not in names:
                return pl.lit(None, TS)
            where = f"{path}, column {names[ours]}"
            return to_utc(batch[names[ours]], time_zone=self.settings.time_zone, where=where)

        score = numbers_of(batch[names["score"]], lazy, names["score"], path)
        scope = pl.col(names["scope"]).cast(pl.String) if "scope" in names else pl.lit(self.settings.scope)
        return batch.select(
            scope=scope,
            ts=time("ts"),
            score=scaled(score, self.settings.low, self.settings.high),
            known_at=time("known_at"),
        )

    def _names(self, schema: pl.Schema, path: Path) -> dict[str, str]:
        """Our columns and the file's, for those that it has."""
        wanted = {ours: self.settings.columns.get(ours, ours) for ours in RAW_SENTIMENT}
        missing = [ours for ours in {"ts", "score", *self.settings.columns} if wanted[ours] not in schema]
        if missing:
            raise InvalidFrame(
                f"no column {', '.join(sorted(missing))}; the file has {', '.join(schema.names())}",
                where=str(path),
                remedy="map ours to the file's under the provider's `columns`, e.g. columns: {ts: date, score: value}",
            )
        if wanted["known_at"] not in schema and self.settings.publication_lag_s is None:
            raise InvalidFrame(
                "nothing says when its scores were known",
                where=str(path),
                remedy=f"map a column to known_at, or set sentiment.{self.name}.publication_lag_s",
            )
        return {ours: theirs for ours, theirs in wanted.items() if theirs in schema}
