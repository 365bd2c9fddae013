"""Bars to compute features from: a seeded random walk, and recorded candles where they are there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

BAR = timedelta(minutes=15)
START = datetime(2025, 1, 1, tzinfo=UTC)

type MakeBars = Callable[..., pl.DataFrame]


def _bars(rows: int, *, seed: int = 1, tick: float = 0.01) -> pl.DataFrame:
    """A walk with heavy tails, calm and wild days, prices on a tick (so that equal prices occur), some empty bars."""
    rng = np.random.default_rng(seed)
    wild = np.exp(0.5 * np.sin(np.arange(rows) / 300))
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, rows) * 1.5e-3 * wild))
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.exponential(8e-4, rows))
    low = np.minimum(open_, close) * (1 - rng.exponential(8e-4, rows))
    volume = rng.lognormal(3, 1.2, rows) * (rng.random(rows) > 0.02)
    prices = {"open": open_, "high": high, "low": low, "close": close}
    return frame({name: np.round(values / tick) * tick for name, values in prices.items()} | {"volume": volume})


def frame(columns: dict[str, np.ndarray]) -> pl.DataFrame:
    """OHLCV arrays as bars of one market."""
    rows = len(columns["close"])
    ts = pl.datetime_range(START, START + BAR * (rows - 1), BAR, time_unit="us", time_zone="UTC", eager=True)
    return pl.DataFrame({"market": ["sample:X/USDT"] * rows, "ts": ts, "known_at": ts + BAR, **columns})


@pytest.fixture(scope="session")
def make_bars() -> MakeBars:
    """Build a random walk of so many bars."""
    return _bars


@pytest.fixture(scope="session")
def bars() -> pl.DataFrame:
    """A random walk of 3,000 bars."""
    return _bars(3_000)


def recorded(folder: Path) -> dict[str, pl.DataFrame]:
    """Recorded candles as 15-minute bars, by file: spot as recorded, a perpetual resampled from minutes."""
    minutes = pl.read_parquet(folder / "binance_ETH-USDT_USDT_1m.parquet").sort("ts")
    resampled = minutes.group_by_dynamic("ts", every="15m").agg(
        pl.col("symbol").first(),
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    recorded = {name: pl.read_parquet(folder / f"binance_{name}_15m.parquet") for name in ("BTC-USDT", "DOGE-USDT")}
    return {
        name: candles.select(
            pl.col("symbol").alias("market"),
            pl.col("ts").cast(pl.Datetime("us", "UTC")),
            (pl.col("ts").cast(pl.Datetime("us", "UTC")) + BAR).alias("known_at"),
            "open",
            "high",
            "low",
            "close",
            "volume",
        )
        for name, candles in (recorded | {"ETH-USDT perpetual": resampled}).items()
    }


@pytest.fixture(scope="session")
def real_bars(real_candles: Path) -> dict[str, pl.DataFrame]:
    """Recorded candles, where they are there."""
    return recorded(real_candles)
