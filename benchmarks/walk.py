"""A seeded random walk to measure on."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl

from trading_assets.core.candles import timeframe_delta

YEAR_OF_MINUTES = 525_600
START = datetime(2025, 1, 1, tzinfo=UTC)


def walk(rows: int, *, timeframe: str = "15m", seed: int = 1, scale: float = 5e-4) -> pl.DataFrame:
    """Bars of one market: ``market, ts, known_at``, OHLCV; ``scale`` is the volatility of one bar."""
    rng = np.random.default_rng(seed)
    step = timeframe_delta(timeframe)
    ts = pl.datetime_range(START, START + step * (rows - 1), step, time_unit="us", time_zone="UTC", eager=True)
    close = 60_000 * np.exp(np.cumsum(rng.standard_t(4, rows) * scale))
    open_ = np.concatenate([[60_000.0], close[:-1]])
    return pl.DataFrame(
        {
            "market": ["sample:WALK/USDT"] * rows,
            "ts": ts,
            "known_at": ts + step,
            "open": open_,
            "high": np.maximum(open_, close) * (1 + rng.exponential(scale / 2, rows)),
            "low": np.minimum(open_, close) * (1 - rng.exponential(scale / 2, rows)),
            "close": close,
            "volume": rng.lognormal(3, 1, rows),
        }
    )
