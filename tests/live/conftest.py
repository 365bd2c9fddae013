"""A small market in a store, and the local exchange that replays it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.settings import Settings, load_settings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES

MARKET = "sample:SYNA/USDT:USDT"
OTHER = "sample:NOISE/USDT:USDT"
START = datetime(2025, 5, 20, tzinfo=UTC)
"""Where replays begin; the stored history goes back 40 days and ahead 2."""


def random_walk(market: str, *, seed: int, days_before: int = 40, days_after: int = 2) -> pl.DataFrame:
    """One-minute candles around START with a few missing minutes; prices have 2 decimals, volumes 3."""
    rng = np.random.default_rng(seed)
    begin, end = START - timedelta(days=days_before), START + timedelta(days=days_after)
    ts = pl.datetime_range(begin, end, "1m", closed="left", time_unit="us", time_zone="UTC", eager=True)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 8e-4, len(ts)))), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    spread = np.round(np.abs(rng.normal(0, 0.03, len(ts))), 2)
    frame = pl.DataFrame(
        {
            "market": [market] * len(ts),
            "timeframe": ["1m"] * len(ts),
            "ts": ts,
            "open": opened,
            "high": np.round(np.maximum(opened, close) + spread, 2),
            "low": np.round(np.minimum(opened, close) - spread, 2),
            "close": close,
            "volume": np.round(rng.gamma(2.0, 40.0, len(ts)), 3),
        },
        schema=CANDLES.columns,
    )
    lost = set(rng.choice(len(ts), 60, replace=False).tolist())
    return frame.filter(~pl.Series(range(len(ts))).is_in(sorted(lost)))


@pytest.fixture(scope="session")
def live_store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store file with the candles of two markets."""
    path = tmp_path_factory.mktemp("live") / "market.duckdb"
    store = open_store(f"duckdb:///{path}")
    store.upsert(CANDLES, pl.concat([random_walk(MARKET, seed=1), random_walk(OTHER, seed=2)]))
    return path


@pytest.fixture
def live_store(live_store_file: Path) -> Store:
    """The store of ``live_store_file``."""
    return open_store(f"duckdb:///{live_store_file}")


@pytest.fixture
def live_settings(tmp_path: Path, live_store_file: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the two markets' store and a data folder of their own, also for child processes."""
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRADING_STORE__URL", f"duckdb:///{live_store_file}")
    monkeypatch.setenv("TRADING_REPLAY__PORT", "0")
    return load_settings()
