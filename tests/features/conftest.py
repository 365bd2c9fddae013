"""Bars to compute features from: a seeded random walk, and recorded candles where they are there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import lookback_bars
from trading_assets.features.proofs.divergences import Companions
from trading_assets.features.proofs.proving import made_up_bars, made_up_companions

M15 = Timeframe.parse("15m")


TIMEFRAMES = [Timeframe.parse(text) for text in ("1m", "15m", "1h", "1d")]

type MakeBars = Callable[..., pl.DataFrame]
type World = Callable[[Timeframe], tuple[pl.DataFrame, Companions]]


@cache
def world_of(timeframe: Timeframe) -> tuple[pl.DataFrame, Companions]:
    """A random walk of 942 bars more than the features look back on, with all companions."""
    bars = made_up_bars(lookback_bars(timeframe) + 942, timeframe)
    return bars, made_up_companions(bars, timeframe)


@pytest.fixture(scope="session")
def world() -> World:
    """Bars and companions of a timeframe."""
    return world_of


@pytest.fixture(scope="session")
def make_bars() -> MakeBars:
    """Build a random walk of so many bars."""
    return made_up_bars


@pytest.fixture(scope="session")
def bars() -> pl.DataFrame:
    """A random walk of 3,000 bars."""
    return made_up_bars(3_000, M15)


@pytest.fixture(scope="session")
def companions(bars: pl.DataFrame) -> Companions:
    """Every companion of ``bars``."""
    return made_up_companions(bars, M15)


def recorded_bars(file: Path, timeframe: Timeframe) -> pl.DataFrame:
    """Recorded candles of one file as bars of a timeframe."""
    candles = pl.read_parquet(file).with_columns(pl.col("ts").cast(pl.Datetime("us", "UTC"))).sort("ts")
    grouped = candles.group_by_dynamic("ts", every=timeframe.name).agg(
        pl.col("symbol").first().alias("market"),
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    return grouped.select(
        "market", "ts", (pl.col("ts") + timeframe.length).alias("known_at"), "open", "high", "low", "close", "volume"
    )


def recorded(folder: Path) -> dict[str, pl.DataFrame]:
    """Recorded candles as 15-minute bars, by file: spot as recorded, a perpetual resampled from minutes."""
    files = {"BTC-USDT": "BTC-USDT_15m", "DOGE-USDT": "DOGE-USDT_15m", "ETH-USDT perpetual": "ETH-USDT_USDT_1m"}
    return {name: recorded_bars(folder / f"binance_{file}.parquet", M15) for name, file in files.items()}


@pytest.fixture(scope="session")
def real_bars(real_candles: Path) -> dict[str, pl.DataFrame]:
    """Recorded candles, where they are there."""
    return recorded(real_candles)
