"""SYNTHETIC funding payments of the sample's perpetuals: seeded, every eight hours, without relation to the candles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.sources.candles.synthetic import stable_rng
from trading_assets.sources.contract import RAW_FUNDING
from trading_assets.sources.window import check_window

INTERVAL_HOURS: Final = 8
USUAL_RATE: Final = 1e-4
DEVIATION: Final = 5e-5


@dataclass(frozen=True, slots=True)
class SampleFunding:
    """Synthetic payments around one basis point, of any market; ``first``, ``days`` and ``seed`` are the candles'."""

    first: datetime
    days: int
    seed: int
    name: str = "sample"

    def fetch(self, market: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield the payments settled in ``[start, end)`` as one page."""
        check_window(market, start, end)
        count = self.days * 24 // INTERVAL_HOURS
        ts = [self.first + timedelta(hours=INTERVAL_HOURS * number) for number in range(count)]
        rates = np.round(USUAL_RATE + DEVIATION * stable_rng(self.seed, market, "funding").standard_normal(count), 8)
        columns = {
            "ts": ts,
            "rate": rates,
            "interval_hours": [float(INTERVAL_HOURS)] * count,
            "mark_price": [None] * count,
        }
        frame = pl.DataFrame(columns, schema=RAW_FUNDING)
        yield frame.filter(pl.col("ts").is_between(start, end, closed="left"))
