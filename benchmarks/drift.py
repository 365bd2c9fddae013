"""How often drift is called where nothing changes, and how soon where something does: ``python -m benchmarks.drift``.

Worlds without change are a training window of half a year and a year after it. The figures stand in
``docs/concepts/drift.md``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from tests.monitoring.worlds import SHIFTED, Split, episodes, shifted, world
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, lookback_bars
from trading_assets.features.proofs.proving import made_up_bars
from trading_assets.settings import DriftSettings

M15 = Timeframe.parse("15m")
TRAIN_DAYS, YEAR = 180, 365
WITHIN = 200
PLANTED: dict[str, dict[str, float]] = {
    "mean by 0.5 sd": {"mean": 0.5},
    "mean by 1 sd": {"mean": 1.0},
    "mean by 1.5 sd": {"mean": 1.5},
    "twice as wide": {"scale": 2.0},
    "three times as wide": {"scale": 3.0},
    "four times as wide": {"scale": 4.0},
    "half as wide": {"scale": 0.5},
}
WINDOWED = DriftSettings(tests=["psi", "ks"])


def remembering(seed: int) -> pl.DataFrame:
    """41 features that remember, cluster, and have hours and weekdays, on 15-minute bars."""
    return world(np.random.default_rng(seed), TRAIN_DAYS + YEAR)


def hourly(seed: int) -> pl.DataFrame:
    """The same on hourly bars."""
    return world(np.random.default_rng(seed), TRAIN_DAYS + YEAR, bars=24)


def own_features(seed: int) -> pl.DataFrame:
    """All features of this project, of a random walk with heavy tails, calm and wild weeks."""
    first = lookback_bars(M15)
    rows = compute(made_up_bars(first + (TRAIN_DAYS + YEAR) * 96, M15, seed=seed), timeframe=M15)
    days = pl.col("ts").dt.date()
    keyed = rows.with_columns(day=pl.date(2024, 1, 1) + (days - days.min())).drop("market", "ts", "known_at")
    return keyed.select("day", *(name for name, kind in keyed.schema.items() if kind.is_numeric()))


def quiet(make: Callable[[int], pl.DataFrame], seeds: Sequence[int], *, window_days: int) -> str:
    """False alarms a year of worlds without change, by test."""
    counts: dict[str, list[int]] = {name: [] for name in ("psi", "ks", "adwin", "any")}
    names: dict[str, int] = {}
    took = 0.0
    for seed in seeds:
        split = Split.of(make(seed), TRAIN_DAYS)
        begin = time.perf_counter()
        alarms = split.alarms(window_days=window_days)
        took += time.perf_counter() - begin
        counts["any"].append(episodes(alarms))
        for name in ("psi", "ks", "adwin"):
            counts[name].append(episodes(alarms.filter(test=name)))
        for name in alarms["name"].unique():
            names[name] = names.get(name, 0) + 1
    told = ", ".join(f"{name} {np.mean(found):.2f}" for name, found in counts.items())
    often = sorted(names, key=lambda name: -names[name])[:5]
    most = f"{max(counts['any'])} in one at most" + (f", {', '.join(often)}" if often else "")
    return f"{len(seeds)} worlds: {told} a year; {most}; {took / len(seeds):.1f} s each"


def found(by: dict[str, float], seeds: Sequence[int]) -> str:
    """In how many worlds a change of six features of 41 is found within 200 bars, whenever on a day it begins."""
    hits, waited = 0, []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        split = Split.of(world(rng, TRAIN_DAYS + 4), TRAIN_DAYS)
        start = int(rng.integers(0, 96))
        alarms = split.alarms(shifted(split.later, start, SHIFTED, **by), settings=WINDOWED)
        last = split.later["day"][0] + timedelta(days=(start + WITHIN) // 96 - 1)
        in_time = alarms.filter(pl.col("ts").dt.date() <= last, pl.col("name").is_in(SHIFTED))
        hits += in_time.height > 0
        if in_time.height:
            day = (in_time["ts"].min().date() - split.later["day"][0]).days  # type: ignore[union-attr]
            waited.append((day + 1) * 96 - start)
    median = f", after {np.median(waited):.0f} bars" if waited else ""
    return f"{hits} of {len(seeds)}{median}"


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=20)
    worlds = parser.parse_args().worlds
    print("nothing changes, features that remember, 15m:", quiet(remembering, range(worlds), window_days=1), flush=True)
    print("nothing changes, features that remember, 1h:", quiet(hourly, range(worlds), window_days=4), flush=True)
    print("nothing changes, this project's features:", quiet(own_features, range(max(worlds // 4, 3)), window_days=1))
    for name, by in PLANTED.items():
        print(f"{name}: found in {found(by, range(1000, 1000 + worlds))}", flush=True)


if __name__ == "__main__":
    main()
