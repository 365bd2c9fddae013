"""What came from the exchanges, and the bars built from it."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.candles import CANDLE_COLUMNS, TS
from trading_assets.store.tables.table import Schema, Table

_BAR: Schema = {
    "market": pl.String,
    "ts": TS,
    "known_at": TS,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
    "candles": pl.Int32,
}


def _bars(timeframe: str) -> Table:
    return Table(
        f"bars_{timeframe}",
        f"One closed {timeframe} bar built from stored candles; `candles` says how many of them it had.",
        _BAR,
        ("market", "ts"),
    )


CANDLES: Final = Table(
    "candles", "One closed candle as the source gave it.", CANDLE_COLUMNS, ("market", "timeframe", "ts")
)
CANDLES_QUARANTINE: Final = Table(
    "candles_quarantine",
    "One candle that broke a rule, kept as it came, with the reason.",
    {**CANDLE_COLUMNS, "reason": pl.String, "source": pl.String, "row_hash": pl.UInt64, "seen_at": TS},
    ("market", "timeframe", "ts", "row_hash"),
    notes={"row_hash": "hash of the row's values: two different bad rows of one minute are both kept"},
)
BARS: Final = {timeframe: _bars(timeframe) for timeframe in ("5m", "15m", "1h", "4h", "1d")}
