"""Sentiment scores from any address that answers JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import SettingsError, SourceError
from trading_assets.settings import KEYS_PREFIX, SentimentHttp
from trading_assets.sources.contract import RAW_SENTIMENT
from trading_assets.sources.files.timestamps import to_utc
from trading_assets.sources.sentiment.scale import scaled
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.sources.transport.ccxt_client import environment_keys
from trading_assets.sources.transport.http import PatientHttp, address


@dataclass(slots=True)
class HttpScores:
    """Scores from one address, one request per scope.

    Parameters
    ----------
    name
        The provider's name in the settings.
    settings
        Address, and where values stand in its answer.
    http
        Makes the requests.
    headers
        Sent with each; the key is among them.
    """

    name: str
    settings: SentimentHttp
    http: PatientHttp = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    live: bool = True

    @classmethod
    def from_settings(cls, name: str, settings: SentimentHttp) -> HttpScores:
        """A provider with the key from the environment, where the settings name a header for it.

        Raises
        ------
        SourceError
            If there is none.
        """
        waits = Backoff(settings.max_attempts, settings.first_wait_s)
        if settings.key_header is None:
            return cls(name, settings, PatientHttp(waits))
        key = environment_keys(name).get("apiKey")
        if key is None:
            raise SourceError(
                "no API key", where=f"sentiment.{name}", remedy=f"set {KEYS_PREFIX}{name.upper()}__API_KEY"
            )
        return cls(name, settings, PatientHttp(waits, (key,)), {settings.key_header: key})

    def fetch(self) -> pl.DataFrame:
        """The scores that the address gives now, scaled; ``given`` is each as it came.

        Raises
        ------
        SourceError
            If the server refuses or fails too often in a row, or has no scores where the settings say.
        InvalidFrame
            If a time cannot be read.
        """
        return pl.concat(self._scores(scope) for scope in self.settings.scopes)

    def _scores(self, scope: str) -> pl.DataFrame:
        url = self.settings.url.replace("{scope}", quote(scope, safe=""))
        where = f"sentiment.{self.name}, {address(url)}"
        rows = self._rows(self.http.json(url, self.headers), where)
        times, values, scopes = (
            [self._find(path, row) for row in rows] if path else [scope] * len(rows)
            for path in (self.settings.ts, self.settings.score, self.settings.scope)
        )
        if rows and all(time is None for time in times):
            raise SourceError(
                f"no time at `{self.settings.ts}` of {_shown(rows[0])}",
                where=where,
                remedy="mend `rows` and `ts` of the provider",
            )
        score = pl.Series([_number(value) for value in values], dtype=pl.Float64)
        return pl.DataFrame(
            {
                "scope": pl.Series([None if value is None else str(value) for value in scopes], dtype=pl.String),
                "ts": to_utc(pl.Series(map(_time, times), dtype=pl.String), time_zone=None, where=where).cast(TS),
                "score": scaled(score, self.settings.low, self.settings.high),
                "known_at": pl.Series([None] * len(rows), dtype=RAW_SENTIMENT["known_at"]),
                "given": pl.Series([json.dumps(row) for row in rows], dtype=pl.String),
            }
        )

    def _rows(self, answer: Any, where: str) -> list[Any]:
        rows = self._find(self.settings.rows, answer)
        if isinstance(rows, dict):
            return [rows]
        if not isinstance(rows, list):
            raise SourceError(
                f"no list at `{self.settings.rows}`: {_shown(answer)}",
                where=where,
                remedy="mend `rows` of the provider",
            )
        return rows

    def _find(self, path: str, value: Any) -> Any:
        import jmespath

        try:
            return jmespath.search(path, value)
        except jmespath.exceptions.JMESPathError as error:
            reason = str(error).split("\n", 1)[0]
            raise SettingsError(
                f"`{path}` is no JMESPath: {reason}", where=f"sentiment.{self.name}", remedy="write e.g. data.value"
            ) from None


def _time(value: Any) -> str | None:
    """A time as text: epoch numbers without their fraction."""
    if value is None or isinstance(value, str):
        return value or None
    return str(int(value)) if isinstance(value, int | float) and math.isfinite(value) else str(value)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
