"""The seven proofs over all features of a timeframe, on made-up bars and on recorded ones: a verdict per feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.errors import InvalidFrame
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework import computation
from trading_assets.features.framework.feature_set import FeatureSet
from trading_assets.features.framework.spans import DAY, Span, Window, bars_of
from trading_assets.features.proofs import divergences
from trading_assets.features.proofs.conditions import Condition, unmet_conditions
from trading_assets.features.proofs.divergences import ROWS, Companions, Compute, Divergence
from trading_assets.features.proofs.soundness import Flaw, guarded, unsound_values

PROOFS: Final[Mapping[str, str]] = {
    "values": "return one finite number per bar within the declared range, or declare it nullable",
    "look-ahead": "read no bar after the present one, and of a higher timeframe closed bars alone",
    "partitions": "depend on the look-back alone, not on the frame's length, its first bar, its mean or an outer state",
    "live parity": "let the newest bars alone give the stored value: no later bar, no open one, no older seed",
    "gaps": "count bars in windows, or go by `frame.ts`: nothing may depend on where a row stands",
    "look-back": "declare all bars that a value needs, or give the filter a finite memory",
    "inputs": "declare every column that is read, `ts` and those of companions too",
}
"""What each proof asks for, and that what a feature declares of itself is true; with what to do about a failure."""


@dataclass(frozen=True)
class Verdict:
    """What the proofs say of one feature: the first divergence or flaw per proof that failed.

    Attributes
    ----------
    failures
        By proof.
    unmet
        Conditions in its code that the bars met in one way only: what it does otherwise is not proven.
    """

    feature: str
    failures: Mapping[str, Divergence | Flaw] = field(default_factory=dict)
    unmet: Sequence[Condition] = ()

    @property
    def proven(self) -> bool:
        """Whether it passed all."""
        return not self.failures


def prove(
    features: FeatureSet,
    bars: pl.DataFrame,
    companions: Companions | None = None,
    *,
    replayed: int = 1_000,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Verdict]:
    """Run every proof on every feature of a set.

    Parameters
    ----------
    bars
        Bars of one market, of the set's timeframe: twice the longest look-back and a thousand more, at least.
    companions
        Frames for features that read some.
    replayed
        How many bars the live proof replays, and how many rows the others look at.
    progress
        Told the name of each proof before it runs.

    Returns
    -------
    list of Verdict
        One per feature, in the set's order.

    Raises
    ------
    InvalidFrame
        There are too few bars.
    """
    lookback = features.lookback_bars
    needed = 2 * lookback + replayed
    if bars.height < needed:
        raise InvalidFrame(
            f"{bars.height:,} bars are too few to prove look-backs of {lookback:,}",
            where=str(bars["market"][0]) if bars.height else "bars",
            remedy=f"give at least {needed:,} bars of {features.timeframe}",
        )
    bars, others = bars.tail(needed), companions or {}
    flaws: dict[str, Flaw] = {}
    given, safe = features, guarded(features, flaws)

    def compute(frame: pl.DataFrame, known: Companions) -> pl.DataFrame:
        return computation.compute(frame, safe, known)

    failures: dict[str, dict[str, Divergence | Flaw]] = {}
    for name, run in _runs(safe, compute, bars, others, replayed).items():
        progress(name)
        for one in run():
            hit = features.names if one.feature == ROWS else (one.feature,)
            for name_of_it in hit:
                failures.setdefault(name_of_it, {}).setdefault(name, one)
    failures |= {name: {"values": flaw} for name, flaw in flaws.items()}  # all else follows from these
    unmet = unmet_conditions(given, bars, others, newest=replayed)
    return [Verdict(name, failures.get(name, {}), unmet.get(name, ())) for name in features.names]


def _runs(
    features: FeatureSet, compute: Compute, bars: pl.DataFrame, companions: Companions, replayed: int
) -> dict[str, Callable[[], Sequence[Divergence | Flaw]]]:
    lookback = features.lookback_bars
    middle = bars.height - replayed // 2
    chunks = [range(lookback, bars.height, size) for size in (96, 97, 1_001)]

    def look_ahead() -> list[Divergence]:
        rows = [lookback - 1, middle, middle + 1, bars.height - 2, *_extreme_rows(bars, lookback)]
        changes = ((1.7,), (0.5, 2.0), (1.01, 0.99, 3.0), (100.0,))
        return [
            one
            for row, factors in zip(rows, cycle(changes), strict=False)
            for one in divergences.look_ahead(compute, bars, companions, row=row, factors=factors)
        ]

    def partitions() -> list[Divergence]:
        return [
            one
            for cuts in chunks
            for one in divergences.dependence_on_partitions(compute, bars, companions, lookback=lookback, cuts=cuts)
        ]

    def gaps() -> list[Divergence]:
        return [
            one
            for missing in (1, 5, 150)
            for one in divergences.gap_dishonesty(
                compute, bars, companions, lookback=lookback, first=lookback + 7, missing=missing
            )
        ]

    return {
        "values": lambda: unsound_values(features, compute(bars, companions)),
        "look-ahead": look_ahead,
        "partitions": partitions,
        "live parity": lambda: divergences.live_parity(compute, bars, companions, lookback=lookback, replayed=replayed),
        "gaps": gaps,
        "look-back": lambda: [
            one
            for row in (middle, bars.height - 1)
            for one in divergences.understated_look_backs(features, bars, row=row)
        ],
        "inputs": lambda: divergences.undeclared_inputs(features, bars, companions),
    }


def made_up_bars(rows: int, timeframe: Timeframe, *, seed: int = 1, tick: float = 0.01) -> pl.DataFrame:
    """A random walk with heavy tails, calm and wild days, prices on a tick, and some bars without volume."""
    rng = np.random.default_rng(seed)
    wild = np.exp(0.5 * np.sin(np.arange(rows) / 300))
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, rows) * 1.5e-3 * wild))
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.exponential(8e-4, rows))
    low = np.minimum(open_, close) * (1 - rng.exponential(8e-4, rows))
    prices = {"open": open_, "high": high, "low": low, "close": close}
    rounded = {name: np.round(values / tick) * tick for name, values in prices.items()}
    return as_bars(rounded | {"volume": rng.lognormal(3, 1.2, rows) * (rng.random(rows) > 0.02)}, timeframe)


def _extreme_rows(bars: pl.DataFrame, lookback: int) -> list[int]:
    """Rows where something rare happens, after the look-back: what leaks in them alone leaks nowhere else."""
    change = pl.col("close").pct_change()
    height = pl.col("high") / pl.col("low")
    late = pl.int_range(pl.len()).is_between(lookback, bars.height - 2)
    rare = (
        change,
        -change,
        height,
        -height,
        pl.col("volume"),
        -pl.col("volume"),
        pl.col("ts").diff().dt.total_minutes(),
    )
    return sorted({bars.select(pl.when(late).then(one).arg_max()).item() for one in rare})


def made_up_jumps(rows: int, timeframe: Timeframe, *, seed: int = 0) -> pl.DataFrame:
    """Candles on a coarse tick that open away from the close before, with bodies and shadows of very different sizes.

    Nearly every candlestick pattern occurs among 60,000 of them.
    """
    rng = np.random.default_rng(seed)
    body = np.round(rng.laplace(0, 6, rows) * rng.choice([0, 0.2, 1, 3], rows, p=[0.15, 0.35, 0.3, 0.2]))
    jump = np.round(rng.laplace(0, 4, rows) * (rng.random(rows) < 0.7))
    close = 20_000 + np.cumsum(body + jump)
    sizes, odds = [0, 0.3, 1, 4], [0.5, 0.2, 0.2, 0.1]
    above, below = (np.round(rng.exponential(2, rows) * rng.choice(sizes, rows, p=odds)) for _ in range(2))
    high, low = np.maximum(close, close - body) + above, np.minimum(close, close - body) - below
    prices = {"open": close - body, "high": high, "low": low, "close": close}
    return as_bars(prices | {"volume": np.ones(rows)}, timeframe)


RARITIES: Final[Mapping[str, Sequence[tuple[float, float, float, float]]]] = {
    "pattern_three_stars_in_the_south": [(100, 101, 75, 90), (95, 96, 78, 89), (86, 86, 84, 84)],
    "pattern_concealing_baby_swallow": [(100, 100, 90, 90), (90, 90, 80, 80), (78, 85, 75, 76), (86, 86, 74, 74)],
    "pattern_mat_hold": [
        (90, 101, 89, 100),
        (103, 104, 101, 102),
        (101, 102, 98, 99),
        (99, 100, 97, 98),
        (99, 110, 98, 109),
    ],
    "pattern_upside_gap_two_crows": [(90, 101, 89, 100), (105, 106, 102, 103), (107, 108, 100, 101)],
}
"""Candles of the rarest patterns, drawn by hand: open, high, low, close."""


def made_up_rarity(pattern: str, timeframe: Timeframe, *, before: int = 2_200) -> pl.DataFrame:
    """Ordinary candles, and after them those of one of the rarest patterns."""
    ordinary = [(100.0, 106.0, 96.0, 102.0), (102.0, 105.0, 97.0, 99.0)] * (before // 2)
    candles = np.array([*ordinary, *RARITIES[pattern]], dtype=float).T
    prices = dict(zip(("open", "high", "low", "close"), candles, strict=True))
    return as_bars(prices | {"volume": np.ones(candles.shape[1])}, timeframe)


def as_bars(columns: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]], timeframe: Timeframe) -> pl.DataFrame:
    """OHLCV arrays as bars of one market from 2025 on."""
    rows, start, bar = len(columns["close"]), datetime(2025, 1, 1, tzinfo=UTC), timeframe.length
    ts = pl.datetime_range(start, start + bar * (rows - 1), bar, time_unit="us", time_zone="UTC", eager=True)
    return pl.DataFrame({"market": ["sample:X/USDT"] * rows, "ts": ts, "known_at": ts + bar, **columns})


def made_up_companions(bars: pl.DataFrame, timeframe: Timeframe, *, seed: int = 2) -> dict[str, pl.DataFrame]:
    """Every companion of some bars, each with its own rhythm, and with stretches in which nothing was known."""
    rng = np.random.default_rng(seed)
    rows, known_at = bars.height, bars["known_at"]

    def within(name: str, columns: tuple[str, ...], *, low: float, high: float, every: Window, late_s: int) -> None:
        keep = pl.Series((np.arange(rows) % bars_of(every, timeframe) == 0) & (rng.random(rows) > 0.02))
        values = {column: rng.uniform(low, high, rows) for column in columns}
        found[name] = pl.DataFrame({"known_at": known_at + timedelta(seconds=late_s), **values}).filter(keep)

    leader = bars["close"].to_numpy() ** 0.7 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows)))
    found = {"leader": pl.DataFrame({"known_at": known_at, "close": leader}).filter(pl.Series(rng.random(rows) > 0.01))}
    other = np.random.default_rng(seed + 1)
    elsewhere = pl.DataFrame({"known_at": known_at, "close": bars["close"] * np.exp(other.normal(0, 1e-3, rows))})
    found["second_exchange"] = elsewhere.filter(pl.Series(other.random(rows) > 0.01))
    within("funding", ("rate",), low=-1e-4, high=3e-4, every=Span("8h"), late_s=0)
    within("sentiment", ("score",), low=-1, high=1, every=DAY, late_s=1_234)
    within("trades", ("sign_imbalance", "volume_imbalance"), low=-1, high=1, every=1, late_s=0)
    within("book", ("spread_bps", "depth_imbalance", "order_flow_imbalance"), low=0.1, high=1, every=1, late_s=0)
    return found
