"""The ``sample`` source: seeded SYNTHETIC candles with the blemishes of real ones. No network, no files.

Three markets of one-minute candles. Two carry a weak planted edge (see :mod:`candles.synthetic`), the
third is a martingale with the same volatility and volume, in which there is nothing to find. Every market has a few
gaps (an "outage" now and then) and a few rows that break a rule, so that gap checks and quarantine have work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.errors import SourceError
from trading_assets.sources.candles.synthetic import EDGE, simulate, stable_rng
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.window import check_window

TIMEFRAME: Final = "1m"
BLOCK_DAYS: Final = 30
"""Blemishes are drawn block by block, so that a longer history keeps those of a shorter one."""

OUTAGES: Final = 2
LONGEST_OUTAGE: Final = 90
"""Outages in a block, and their greatest length in minutes; the shortest takes 3."""


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """What distinguishes one synthetic market from another."""

    first_price: float
    edge: float


MARKETS: Final = {
    "sample:SYNA/USDT:USDT": SyntheticMarket(120.0, EDGE),
    "sample:SYNB/USDT:USDT": SyntheticMarket(80.0, EDGE),
    "sample:NOISE/USDT:USDT": SyntheticMarket(100.0, 0.0),
}


@dataclass(frozen=True, slots=True)
class SampleCandles:
    """Synthetic candles of the markets in ``MARKETS``.

    Parameters
    ----------
    first
        Open time of the first candle (UTC midnight).
    days
        Length of the history.
    seed
        Together with the market it determines every value.
    """

    first: datetime
    days: int
    seed: int
    name: str = "sample"
    synthetic: bool = True
    retries: int = 0

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Yield the candles that open in ``[start, end)`` as one page.

        Raises
        ------
        SourceError
            For a market outside ``MARKETS`` or a timeframe other than 1m.
        SettingsError
            If ``start`` is not before ``end``.
        """
        check_window(market, start, end)
        if market not in MARKETS:
            raise SourceError(
                "the synthetic sample does not know this market", where=market, remedy=f"it has {', '.join(MARKETS)}"
            )
        if timeframe != TIMEFRAME:
            raise SourceError(
                f"the synthetic sample has {TIMEFRAME} candles, not {timeframe}",
                where=market,
                remedy=f"set the market's timeframe to {TIMEFRAME}",
            )
        frame = _history(market, self.seed, self.first, self.days)
        first, stop = (frame["ts"].search_sorted(instant) for instant in (start, end))
        page = frame.slice(first, stop - first)
        if not page.is_empty():
            yield page


@lru_cache(maxsize=len(MARKETS))
def _history(market: str, seed: int, first: datetime, days: int) -> pl.DataFrame:
    """The market's whole history, blemishes included, sorted by ``ts``."""
    kind = MARKETS[market]
    minutes = days * 1440
    values = simulate(minutes, seed=seed, market=market, first_price=kind.first_price, edge=kind.edge)
    ts = pl.datetime_range(first, first + timedelta(days=days), "1m", closed="left", time_unit="us", eager=True)
    frame = pl.DataFrame({"ts": ts, **values}, schema=RAW_COLUMNS)
    blocks = (
        _blemish(block, stable_rng(seed, market, "blemishes", str(number)))
        for number, block in enumerate(frame.iter_slices(BLOCK_DAYS * 1440))
    )
    return pl.concat(blocks)


def _blemish(block: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Take out some minutes and spoil one of each kind; the others stay as they are."""
    minutes = BLOCK_DAYS * 1440
    keep = np.ones(minutes, dtype=bool)
    for _ in range(OUTAGES):
        begin = rng.integers(0, minutes)
        keep[begin : begin + rng.integers(3, LONGEST_OUTAGE + 1)] = False
    row = pl.int_range(pl.len())
    swapped, negative, missing, zero, changed, doubled = (
        row == int(spoilt) for spoilt in rng.choice(minutes, size=6, replace=False)
    )
    kept = pl.Series(keep[: block.height])
    spoilt = block.with_columns(
        high=pl.when(swapped).then(pl.col("low") - 0.01).otherwise("high"),
        low=pl.when(zero).then(0.0).otherwise("low"),
        close=pl.when(missing).then(float("nan")).otherwise("close"),
        volume=pl.when(negative).then(-pl.col("volume")).otherwise("volume"),
    )
    rival = block.filter(changed & kept).with_columns(volume=pl.col("volume") * 2)
    repeated = block.filter(doubled & kept)
    return pl.concat([spoilt.filter(kept), rival, repeated]).sort("ts", maintain_order=True)
