"""Worlds whose features remember, cluster and have hours and weekdays, and in which nothing changes; or something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.signal import lfilter

from trading_assets.monitoring.comparison import Reference
from trading_assets.monitoring.histograms import Histograms
from trading_assets.monitoring.judging import judge
from trading_assets.settings import DriftSettings

Series = npt.NDArray[np.float64]
FIRST = date(2024, 1, 1)
WARM_UP_DAYS = 10
SHIFTED = ("ar0.5_0", "ar0.7_0", "ar0.9_0", "z16", "volume", "momentum16")


def ar1(rng: np.random.Generator, count: int, memory: float) -> Series:
    """A Gaussian series of variance 1 that remembers."""
    found: Series = lfilter([1], [1, -memory], rng.standard_normal(count) * np.sqrt(1 - memory**2))
    return found


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def garch(shocks: Series, news: float, memory: float) -> Series:
    """Returns whose volatility comes in clusters; variance 1."""
    returns, variance = np.empty(len(shocks)), 1.0
    for place in range(len(shocks)):
        returns[place] = np.sqrt(variance) * shocks[place]
        variance = (1 - news - memory) + news * returns[place] ** 2 + memory * variance
    return returns


def world(rng: np.random.Generator, days: int, *, bars: int = 96) -> pl.DataFrame:
    """A ``day``, and 41 features, of each bar."""
    count = (days + WARM_UP_DAYS) * bars
    columns: dict[str, Series] = {
        f"ar{memory}_{copy}": ar1(rng, count, memory)
        for memory in (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99, 0.998)
        for copy in range(2)
    }
    returns = garch(rng.standard_normal(count), 0.08, 0.91)
    hours = 1 + 0.5 * np.sin(2 * np.pi * np.arange(count) / bars)
    week = np.where(np.arange(count) // bars % 7 >= 5, 0.7, 1.0)
    columns |= {
        "return": returns,
        "absolute": np.abs(returns),
        "calmer": garch(rng.standard_normal(count), 0.04, 0.955),
        "volume": np.exp(0.5 * ar1(rng, count, 0.98) + 0.3 * rng.standard_normal(count)) * hours * week,
        "seasonal": rng.standard_normal(count) * hours * week,
        "stochastic": rng.standard_normal(count) * np.exp(0.4 * ar1(rng, count, 0.995)),
        "sometimes": np.where(rng.random(count) < 0.02, np.nan, rng.standard_normal(count)),
        "rare": (rng.random(count) < 0.01).astype(np.float64),
    }
    price = pl.Series(np.cumsum(returns * 1e-3))
    for bars_back in (4, 16, 64, 256, 1024)[: 4 if bars < 96 else 5]:
        mean = price.rolling_mean(bars_back, min_samples=1)
        spread = price.rolling_std(bars_back, min_samples=2).fill_null(1e-3) + 1e-9
        columns |= {
            f"z{bars_back}": ((price - mean) / spread).to_numpy(),
            f"momentum{bars_back}": price.diff(bars_back).fill_null(0.0).to_numpy(),
            f"volatility{bars_back}": pl.Series(returns).rolling_std(bars_back, min_samples=2).fill_null(1).to_numpy(),
        }
    day = pl.Series(np.arange(count) // bars, dtype=pl.Int32)
    frame = pl.DataFrame(columns).with_columns(day=pl.lit(FIRST) + pl.duration(days=day - WARM_UP_DAYS))
    return frame[WARM_UP_DAYS * bars :]


@dataclass(frozen=True)
class Split:
    """A world's training window, and the days after it."""

    reference: Reference
    later: pl.DataFrame

    @classmethod
    def of(cls, frame: pl.DataFrame, train_days: int, kind: str = "feature") -> Split:
        names = tuple(name for name in frame.columns if name != "day")
        end = FIRST + timedelta(days=train_days)
        return cls(Reference.of(kind, frame.filter(pl.col("day") < end), names), frame.filter(pl.col("day") >= end))

    def alarms(
        self, later: pl.DataFrame | None = None, *, settings: DriftSettings | None = None, window_days: int = 1
    ) -> pl.DataFrame:
        """The rows of all looks that alarm."""
        new: Histograms = self.reference.count(self.later if later is None else later)
        found = judge(
            {self.reference.kind: self.reference},
            {self.reference.kind: new},
            settings or DriftSettings(),
            window_days=window_days,
        )
        return found.filter("alarmed")


def episodes(alarms: pl.DataFrame) -> int:
    """How often a day alarms of which the day before did not."""
    days = alarms["ts"].unique().sort()
    return int((days.diff().fill_null(timedelta(days=9)) > timedelta(days=1)).sum())


def shifted(
    later: pl.DataFrame, begin: int, names: Sequence[str], *, mean: float = 0.0, scale: float = 1.0
) -> pl.DataFrame:
    """The same with some features otherwise from a bar on, by standard deviations."""
    after = pl.int_range(pl.len()) >= begin
    return later.with_columns(
        pl.when(after).then(pl.col(name) * scale + mean * pl.col(name).std()).otherwise(pl.col(name)) for name in names
    )
