"""Stretches of candles: clean ones by hand, real ones, and how to spoil them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from trading_assets.core.candles import CANDLE_COLUMNS
from trading_assets.quality import CANDLE_CHECKS, Finding, Stretch, inspect
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.store.tables import CANDLE_GAPS

START = datetime(2025, 3, 1, tzinfo=UTC)
NO_GAPS = pl.DataFrame(schema=CANDLE_GAPS.columns)


def walk(
    days: float = 4, *, seed: int = 1, minutes: int = 1, market: str = "m:A/B", start: datetime = START
) -> pl.DataFrame:
    """A random walk that keeps every rule."""
    rows = int(days * 1440 / minutes)
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(size=rows)) * 6e-4)
    opening = np.concatenate([[100.0], close[:-1]])
    ts = pl.Series(
        "ts", [start + timedelta(minutes=minutes) * row for row in range(rows)], dtype=pl.Datetime("us", "UTC")
    )
    frame = pl.DataFrame({"ts": ts, "open": opening, "close": close, "volume": rng.lognormal(size=rows)})
    return frame.select(
        pl.lit(market).alias("market"),
        pl.lit(f"{minutes}m").alias("timeframe"),
        "ts",
        "open",
        high=pl.max_horizontal("open", "close") * 1.0002,
        low=pl.min_horizontal("open", "close") * 0.9998,
        close="close",
        volume="volume",
    ).select(list(CANDLE_COLUMNS))


def stretch(candles: pl.DataFrame, **changes: object) -> Stretch:
    """The candles as the checks get them: one month from their first to their last."""
    first, timeframe = candles["ts"].min(), candles["timeframe"][0]
    last = candles["ts"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    end = last + timedelta(minutes=int(timeframe[:-1]))
    made = Stretch(
        market=candles["market"][0],
        timeframe=timeframe,
        candles=candles,
        months=((first, end),),
        listed=first,
        now=end,
        ledger=NO_GAPS,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def found(candles: pl.DataFrame, quality: QualitySettings | None = None, **changes: object) -> dict[str, Finding]:
    """What the checks find: check -> finding, of those that found something."""
    findings = inspect(stretch(candles, **changes), quality or QualitySettings(), CANDLE_CHECKS)
    return {name: finding for name, finding in findings.items() if not finding.passed}


def load(path: Path) -> pl.DataFrame:
    """A recorded file as rows of the ``candles`` table."""
    frame = pl.read_parquet(path).with_columns(market=pl.format("{}:{}", "exchange", "symbol"))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in CANDLE_COLUMNS.items()).sort("ts")
