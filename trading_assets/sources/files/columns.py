"""Which of a file's columns are ours: by the settings, by the names that others use, or by their number."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.errors import InvalidFrame
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.files.formats import Headings

Columns = tuple[tuple[str, str], ...]
"""Pairs of our column and the file's."""

BINANCE_KLINES: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
"""The columns of Binance's public candles, whose older files have no header."""

KRAKEN_OHLCVT: Final = ("ts", "open", "high", "low", "close", "volume", "trades")
"""The columns of Kraken's downloadable history, which has no header; times are seconds."""

HEADINGS: Final[Headings] = {len(BINANCE_KLINES): BINANCE_KLINES, len(KRAKEN_OHLCVT): KRAKEN_OHLCVT}

_TIMES: Final = ("ts", "open_time", "timestamp", "unix", "time", "datetime", "date")
"""What others call the open time, the surest first: of `unix` and `date` the former carries no zone to guess."""


def find_columns(schema: pl.Schema, mapped: dict[str, str], path: Path) -> Columns:
    """Our columns and the file's: as the settings map them, else by name, whatever its case.

    Raises
    ------
    InvalidFrame
        If one is not there, or is no number.
    """
    folded = {name.casefold(): name for name in reversed(schema.names())}
    found = {}
    for ours in RAW_COLUMNS:
        names = _TIMES if ours == "ts" else (ours,)
        known = [folded[name] for name in names if name in folded]
        found[ours] = mapped.get(ours) or (ours if ours in schema else next(iter(known), ours))
    _check(schema, found, path)
    return tuple(found.items())


def _check(schema: pl.Schema, columns: dict[str, str], path: Path) -> None:
    missing = [
        f"{ours} (as {theirs!r})" if ours != theirs else ours
        for ours, theirs in columns.items()
        if theirs not in schema
    ]
    if missing:
        raise InvalidFrame(
            f"no column {', '.join(missing)}; the file has {', '.join(schema.names())}",
            where=str(path),
            remedy="map ours to the file's under the source's `columns`, e.g. columns: {ts: open_time}",
        )
    for ours, theirs in columns.items():
        if ours != "ts" and not (schema[theirs].is_numeric() or schema[theirs] == pl.String):
            raise InvalidFrame(f"{theirs} is {schema[theirs]}, not a number", where=str(path))
