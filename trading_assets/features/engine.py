"""From a frame of bars to a frame of features: checks, passes that fit the processor's cache, and the result."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from trading_assets.candles import OHLCV, TS
from trading_assets.errors import InvalidFrame
from trading_assets.features.bars import Bars
from trading_assets.features.registry import Registry

_CHUNK: Final = 16_384
"""Rows per pass. Features have a finite memory, so passes give the same values as one over the whole frame."""

KEYS: Final = ("market", "ts", "known_at")


def compute(bars: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """Compute every feature of ``registry``; see :func:`trading_assets.features.compute`."""
    check(bars)
    skipped = registry.lookback_bars - 1
    rows = max(bars.height - skipped, 0)
    names = list(registry.features)
    values = np.empty((len(names), rows))
    columns = [bars["ts"].to_physical().to_numpy(), *(bars[name].to_numpy() for name in OHLCV)]
    with np.errstate(divide="ignore", invalid="ignore"):
        for first in range(0, rows, _CHUNK):
            last = min(first + _CHUNK, rows)
            frame = Bars(*(column[first : last + skipped] for column in columns))
            arrays = (array for family in registry.families for array in family.values(frame))
            for target, array in zip(values, arrays, strict=True):
                target[first:last] = array[skipped:]
    return bars.select(KEYS)[skipped:].with_columns(
        pl.Series(name, column) for name, column in zip(names, values, strict=True)
    )


def check(bars: pl.DataFrame) -> None:
    """Raise ``InvalidFrame`` where ``bars`` cannot give honest features."""
    missing = [name for name in (*KEYS, *OHLCV) if name not in bars.columns]
    if missing:
        raise InvalidFrame(f"no column {', '.join(missing)}", where="bars for features")
    if bars.is_empty():
        return
    market = bars["market"][0]
    for name in ("ts", "known_at"):
        if bars.schema[name] != TS:
            raise InvalidFrame(f"{name} is {bars.schema[name]}", where=str(market), remedy="make it Datetime(us, UTC)")
    for name in OHLCV:
        if bars.schema[name] != pl.Float64:
            raise InvalidFrame(f"{name} is {bars.schema[name]}", where=str(market), remedy="make it Float64")
    facts = bars.select(
        markets=pl.col("market").n_unique(),
        ascending=(pl.col("ts").diff().dt.total_microseconds() > 0).all(),
        finite=pl.all_horizontal((pl.col(name).is_finite() & pl.col(name).is_not_null()).all() for name in OHLCV),
        positive=(pl.min_horizontal("open", "high", "low", "close") > 0).all() & (pl.col("volume") >= 0).all(),
    ).row(0, named=True)
    if facts["markets"] != 1:
        raise InvalidFrame(f"{facts['markets']} markets in one frame", where=str(market), remedy="give one at a time")
    if not facts["ascending"]:
        raise InvalidFrame("ts is not strictly ascending", where=str(market), remedy="sort, and keep one row per ts")
    if not facts["finite"]:
        raise InvalidFrame("null, NaN or infinite values among open, high, low, close, volume", where=str(market))
    if not facts["positive"]:
        raise InvalidFrame("a price is not positive or a volume negative", where=str(market))
