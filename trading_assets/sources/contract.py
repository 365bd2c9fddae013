"""The sources' contract: where candles come from, whatever the origin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

import polars as pl

from trading_assets.candles import TS

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
