"""The sources' contracts: candles, funding payments and sentiment scores, whatever their origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol, runtime_checkable

import polars as pl

from trading_assets.core.candles import TS

RAW_COLUMNS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "ts": TS,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
}
"""A page as a source gives it: values may still break rules, types may not."""


@runtime_checkable
class CandleSource(Protocol):
    """Something that delivers candles."""

    @property
    def name(self) -> str:
        """Where rows came from, as quarantined rows name it, e.g. ``sample`` or ``ccxt:binanceusdm``."""
        ...

    @property
    def synthetic(self) -> bool:
        """Whether the candles are made up; every result that rests on them says so."""
        ...

    @property
    def retries(self) -> int:
        """How many requests had to be repeated since the source was opened."""
        ...

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield pages of closed bars that open in ``[start, end)``, in ascending time.

        Columns are those of ``RAW_COLUMNS``; values come as the origin gave them, bad rows included.

        Raises
        ------
        SourceError
            If the market or timeframe is unknown to the source, or it cannot deliver.
        SettingsError
            If ``start`` is not before ``end``.
        """
        ...


Reason = Literal["before_listing", "out_of_reach"]
"""Why a source has nothing before some time."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first candle that a source has of a market from some time on, and why there is none before.

    Attributes
    ----------
    ts
        Open time of the first candle; the end of the newest closed bar where there is none at all.
    reason
        ``before_listing``: the market was not traded yet. ``out_of_reach``: it was, but the source no longer gives
        candles that old (Kraken keeps the newest 720), so they must come from elsewhere.
    detail
        The same for people, on one line.
    """

    ts: datetime
    reason: Reason
    detail: str


@runtime_checkable
class KnowsBeginning(Protocol):
    """What a source offers besides, if it can tell why a market's first candles are missing."""

    def beginning(self, market: str, timeframe: str, start: datetime) -> Beginning | None:
        """Where the candles from ``start`` on begin; None if the source has candles from ``start`` on.

        Costs a few requests the first time, none after a fetch that began at ``start``.

        Raises
        ------
        SourceError
            If the market or timeframe is unknown to the source, or it cannot deliver.
        """
        ...


def beginning(source: CandleSource, market: str, timeframe: str, start: datetime) -> Beginning | None:
    """Ask a source where a market's candles begin; None also if it cannot tell."""
    return source.beginning(market, timeframe, start) if isinstance(source, KnowsBeginning) else None


@runtime_checkable
class Recorded(Protocol):
    """A source that reads what was recorded: read again, it can only say the same, so its silence confirms nothing."""

    def recorded_in(self, market: str) -> str:
        """The path or glob of a market's files.

        Raises
        ------
        SourceError
            If the market has none.
        """
        ...


RAW_FUNDING: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "ts": TS,
    "rate": pl.Float64,
    "interval_hours": pl.Float64,
    "mark_price": pl.Float64,
}
"""Payments as a source gives them; ``interval_hours`` and ``mark_price`` are null where it does not say."""


@runtime_checkable
class FundingSource(Protocol):
    """Something that delivers funding payments."""

    @property
    def name(self) -> str:
        """Where rows came from, as quarantined rows name it."""
        ...

    def fetch(self, market: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield pages of the payments settled in ``[start, end)``, columns of ``RAW_FUNDING``, in any order.

        Raises
        ------
        SourceError
            If the market is unknown to the source, or it cannot deliver.
        """
        ...


RAW_SENTIMENT: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "scope": pl.String,
    "ts": TS,
    "score": pl.Float64,
    "known_at": TS,
}
"""Scores as a provider gives them; ``known_at`` is null where it does not say. Other columns go to quarantine only."""


@runtime_checkable
class SentimentProvider(Protocol):
    """Something that delivers sentiment scores; the one class to write for a further provider."""

    @property
    def live(self) -> bool:
        """Whether it gives what is published now: what it gives anew then counts as known when it was fetched."""
        ...

    def fetch(self) -> pl.DataFrame:
        """All scores that it has, or the newest ones, in any order: the columns of ``RAW_SENTIMENT``.

        Raises
        ------
        SourceError
            If it cannot deliver.
        """
        ...
