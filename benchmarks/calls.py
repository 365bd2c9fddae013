"""Calls that a person or a bar waits for: weights, PBO, intervals, the rules, the code location."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from trading_assets.core.candles import TS
from trading_assets.labels import sample_weights
from trading_assets.sources import split_valid
from trading_assets.sources.candles import sample
from trading_assets.validation.bootstrap import OF_DAILY_RETURNS, confidence_intervals
from trading_assets.validation.overfitting import cross_validate_choice


def run() -> list[Measurement]:
    """Time them."""
    rng = np.random.default_rng(1)
    labels, page = _labels(rng), _page(1_000_000)
    returns, choices = rng.normal(0.001, 0.02, 730), rng.normal(0, 0.01, (730, 100))
    confidence_intervals(returns[:50], OF_DAILY_RETURNS)  # the imports
    start, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)

    def judge() -> None:
        split_valid(page, market="m:A/B", timeframe="1m", start=start, end=end, now=end)

    def make() -> None:
        sample._history.cache_clear()
        for market in sample.MARKETS:
            for _ in sample.SampleCandles(start, 150, 7).fetch(market, "1m", start, start + timedelta(days=150)):
                pass

    calls = (
        ("weights of a year of eight markets", lambda: sample_weights(labels, oldest=0.5), labels.height, 1.0),
        ("PBO of 16 blocks and 100 configurations", lambda: cross_validate_choice(choices), 0, 1.0),
        ("intervals of 730 days, 2,000 resamples", lambda: confidence_intervals(returns, OF_DAILY_RETURNS), 0, 1.0),
        ("rules of a million rows", judge, page.height, 1.0),
        ("three synthetic markets of 150 days", make, 0, 1.5),
    )
    measured = [
        Measurement(name, best_of(call), rows, target=Target(max_seconds=seconds))
        for name, call, rows, seconds in calls
    ]
    measured.append(Measurement("loading the code location", _loading(), target=Target(max_seconds=6.0)))
    return measured


def _labels(rng: np.random.Generator) -> pl.DataFrame:
    bars, quarter = 35_040, 900_000_000
    known_at = pl.Series(np.tile(np.arange(bars), 8) * quarter).cast(TS)
    lives = pl.Series(rng.integers(1, 25, 8 * bars) * quarter).cast(pl.Duration("us"))
    return pl.DataFrame(
        {"market": np.repeat([f"M{i}" for i in range(8)], bars), "known_at": known_at, "label_end": known_at + lives}
    )


def _page(rows: int) -> pl.DataFrame:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    ts = pl.datetime_range(start, start + timedelta(minutes=rows - 1), "1m", time_unit="us", eager=True)
    ones = pl.Series([1.0]).new_from_index(0, rows)
    return pl.DataFrame({"ts": ts, **dict.fromkeys(("open", "high", "low", "close", "volume"), ones)})


def _loading() -> float:
    program = "import trading_assets.definitions as d; d.defs().get_repository_def()"
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main(run, __doc__, title="Calls")
