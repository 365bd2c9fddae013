"""Tapes for orders: candles by hand and at random, without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import polars as pl

from tests.live.conftest import MARKET, START, random_walk
from trading_assets.core.candles import OHLCV
from trading_live.replay.funding import NO_FUNDING
from trading_live.replay.tape import Tape, _instrument


def walk(hours: float = 6, *, funding: Mapping[str, pl.DataFrame] | None = None) -> Tape:
    """A random walk of MARKET around 100."""
    frame = random_walk(MARKET, seed=1, days_before=2, days_after=1)
    return tape(frame.select("ts", *OHLCV), hours=hours, funding=funding)


def by_hand(*candles: Sequence[float], before: float = 100.0) -> Tape:
    """Candles of (open, high, low, close, volume) from START on, after ten still ones."""
    rows = [(before, before, before, before, 1_000.5)] * 10 + [tuple(candle) for candle in candles]
    ts = [START + timedelta(minutes=number - 10) for number in range(len(rows))]
    values = pl.DataFrame(rows, schema=dict.fromkeys(OHLCV, pl.Float64), orient="row")
    frame = values.select(pl.Series("ts", ts, dtype=pl.Datetime("us", "UTC")), *OHLCV)
    return tape(frame, hours=len(candles) / 60)


def tape(frame: pl.DataFrame, *, hours: float, funding: Mapping[str, pl.DataFrame] | None = None) -> Tape:
    """Candles of MARKET, replayed from START on."""
    stored = (funding or {}).get(MARKET, NO_FUNDING)
    return Tape([_instrument(MARKET, "1m", frame, stored)], START, START + timedelta(hours=hours))
