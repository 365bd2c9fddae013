"""Proofs that features do not lie: each returns where it found them different, so an empty list is a pass.

They take any function from bars (and companions) to features, so they apply to the project's registry and to a user's
own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import OHLCV
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework import computation
from trading_assets.features.framework.auxiliary_series import COMPANIONS, INPUTS
from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.feature_set import Calculation, FeatureSet
from trading_assets.features.framework.spans import DAY

type Companions = Mapping[str, pl.DataFrame]
type Compute = Callable[[pl.DataFrame, Companions], pl.DataFrame]
type Tail = Callable[[pl.DataFrame, int], pl.DataFrame]

TOLERANCE: Final = 1e-9
"""Relative to the larger of a value and its column's median magnitude (values near zero are differences)."""

_ELSEWHEN: Final = timedelta(days=11, hours=13, minutes=15)
"""Another time of day, week and month; of coarser bars the next before it at which one opens."""

_WITHIN: Final = {
    "open": ("low", "high"),
    "high": ("high", None),
    "low": (None, "low"),
    "close": ("low", "high"),
    "volume": (None, None),
}
"""Where a column may move, so that bars stay bars."""

ROWS: Final = "rows"
"""Stands for a feature where the rows themselves differ."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first bar in which a feature has two values.

    Attributes
    ----------
    feature
        The column; ``rows`` where the frames do not even hold the same bars.
    ts
        The bar's open; None where the frames hold no common bar.
    value, other
        What the two computations gave; None stands for null.
    """

    feature: str
    ts: datetime | None = None
    value: float | None = None
    other: float | None = None

    def __str__(self) -> str:
        if self.ts is None:
            return f"{self.feature} differ"
        return f"{self.feature} at {self.ts:%Y-%m-%d %H:%M}: {self.value!r} and {self.other!r}"


def look_ahead(
    compute: Compute,
    bars: pl.DataFrame,
    companions: Companions,
    *,
    row: int,
    factors: Sequence[float],
) -> list[Divergence]:
    """Where values up to ``row`` change when later bars, or what companions knew later, do.

    Parameters
    ----------
    row
        The last bar that stays as it is.
    factors
        Prices, volume and companions' values after ``row`` are multiplied by these, in turn.
    """
    known_at = bars["known_at"][row]
    changed = _changed_after(bars, known_at, factors, OHLCV)
    others = {
        name: _changed_after(frame, known_at, factors, [column for column in frame.columns if column != "known_at"])
        for name, frame in companions.items()
    }
    known = pl.col("known_at") <= known_at
    return different(compute(bars, companions).filter(known), compute(changed, others).filter(known))


def _changed_after(
    frame: pl.DataFrame, known_at: datetime, factors: Sequence[float], columns: Iterable[str]
) -> pl.DataFrame:
    cycle = pl.Series(np.resize(np.asarray(factors, dtype=float), frame.height))
    later = pl.col("known_at") > known_at
    return frame.with_columns(pl.when(later).then(pl.col(name) * cycle).otherwise(pl.col(name)) for name in columns)


def dependence_on_partitions(
    compute: Compute, bars: pl.DataFrame, companions: Companions, *, lookback: int, cuts: Iterable[int]
) -> list[Divergence]:
    """Where the whole frame differs from parts of it, each with its look-back before it.

    Parameters
    ----------
    cuts
        Row numbers at which the result is cut into parts.
    """
    edges = sorted({lookback - 1, *(cut for cut in cuts if lookback <= cut < bars.height), bars.height})
    parts = [compute(bars[first - lookback + 1 : last], companions) for first, last in pairwise(edges)]
    return different(compute(bars, companions), pl.concat(parts))


def live_parity(
    compute: Compute,
    bars: pl.DataFrame,
    companions: Companions,
    *,
    lookback: int,
    replayed: int = 1_000,
    tail: Tail | None = None,
) -> list[Divergence]:
    """Where the table differs from what a node computes, bar after bar, from the newest bars that it holds.

    Parameters
    ----------
    replayed
        How many of the newest bars are replayed.
    tail
        (bars, row) -> the bars that the node holds when that row closes; by default the ``lookback`` newest.
    """
    held = tail or (lambda frame, row: frame[row - lookback + 1 : row + 1])
    first = max(lookback - 1, bars.height - replayed)
    live = [compute(held(bars, row), companions).tail(1) for row in range(first, bars.height)]
    table = compute(bars, companions)
    return different(table.tail(len(live)), pl.concat(live)) if live else []


def gap_dishonesty(
    compute: Compute, bars: pl.DataFrame, companions: Companions, *, lookback: int, first: int, missing: int
) -> list[Divergence]:
    """Where missing bars do what they must not.

    Rows exist for the bars that exist. Those before the gap, and those whose whole look-back came after it, are as if
    nothing were missing; those between reach further back in time, the same in every partition.

    Parameters
    ----------
    first, missing
        Row number of the first bar that is taken out, and how many are.
    """
    end = first + missing
    gap = pl.concat([bars[:first], bars[end:]])
    whole, holed = compute(bars, companions), compute(gap, companions)
    if not holed["ts"].equals(gap["ts"][lookback - 1 :]):
        return [Divergence(ROWS)]
    before, clear = bars["ts"][first - 1], bars["ts"][min(end + lookback, bars.height - 1)]
    untouched = (pl.col("ts") <= before) | (pl.col("ts") > clear)
    found = different(whole.filter(untouched), holed.filter(untouched))
    cuts = (first - 1, first, first + 1, first + lookback // 2)
    return found or dependence_on_partitions(compute, gap, companions, lookback=lookback, cuts=cuts)


def overstated_look_backs(features: FeatureSet, bars: pl.DataFrame) -> list[str]:
    """The features that do not need the oldest bar of their look-back at any of the last day's rows.

    As many ends of a frame as a day has: look-backs of features on the clock differ between them.
    """
    return [one.features[0].name for one in features.calculations if not _needs_all(one, bars, features.timeframe)]


def _needs_all(calculation: Calculation, bars: pl.DataFrame, timeframe: Timeframe) -> bool:
    lookback = calculation.lookback
    if lookback == 1:
        return True
    columns = computation.arrays(bars, timeframe)
    with np.errstate(divide="ignore", invalid="ignore"):
        for end in range(bars.height, bars.height - DAY.bars(timeframe), -1):
            spiked = [column[end - lookback : end].copy() for column in columns]
            for prices in spiked[1:5]:
                prices[0] *= 3
            spiked[5][0] = 50 * columns[5].max()
            whole = calculation.values(_frame(spiked, timeframe))
            cut = calculation.values(_frame([column[1:] for column in spiked], timeframe))
            if any(not np.isclose(one[-1], other[-1], 1e-12, 0) for one, other in zip(whole, cut, strict=True)):
                return True
    return False


def understated_look_backs(features: FeatureSet, bars: pl.DataFrame, *, row: int) -> list[Divergence]:
    """The features whose value at ``row`` needs more bars than they declare."""
    columns = computation.arrays(bars, features.timeframe)
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = _frame([column[: row + 1] for column in columns], features.timeframe)
        for one in features.calculations:
            alone = _frame([column[row + 1 - one.lookback : row + 1] for column in columns], features.timeframe)
            pairs = zip(one.features, one.values(whole), one.values(alone), strict=True)
            found += [
                Divergence(feature.name, bars["ts"][row], float(value[-1]), float(own[-1]))
                for feature, value, own in pairs
                if not np.isclose(value[-1], own[-1], TOLERANCE, 0, equal_nan=True)
            ]
    return found


def _frame(columns: Sequence[npt.NDArray[Any]], timeframe: Timeframe) -> Bars:
    """Arrays as bars with companions that follow the close."""
    close = columns[4]
    others = {name: close * (1 + number / 100) for number, name in enumerate(INPUTS)}
    for one in others.values():
        one.flags.writeable = False
    return Bars(*columns, timeframe=timeframe, companions=others)


def undeclared_inputs(features: FeatureSet, bars: pl.DataFrame, companions: Companions) -> list[Divergence]:
    """The features that change with the time, a column of the bars or one of a companion, which they do not declare."""
    before = computation.compute(bars, features, companions)
    found: dict[str, Divergence] = {}
    for name, changed, others in _changed_inputs(bars, companions, features.timeframe):
        after = computation.compute(changed, features, others).with_columns(before.select(computation.KEYS))
        for one in different(before, after):
            if name not in features.features[one.feature].inputs:
                found.setdefault(one.feature, one)
    return [found[name] for name in sorted(found)]


def _changed_inputs(
    bars: pl.DataFrame, companions: Companions, timeframe: Timeframe
) -> Iterator[tuple[str, pl.DataFrame, dict[str, pl.DataFrame]]]:
    """Each input in turn, with bars and companions in which it alone is another."""
    elsewhen = _ELSEWHEN // timeframe.length * timeframe.length
    later = {name: frame.with_columns(pl.col("known_at") + elsewhen) for name, frame in companions.items()}
    yield "ts", bars.with_columns(pl.col("ts", "known_at") + elsewhen), later
    for name, (low, high) in _WITHIN.items():
        moved = (pl.col(name) * _noise(bars, name)).clip(low and pl.col(low), high and pl.col(high))
        yield name, bars.with_columns(moved.alias(name)), dict(companions)
    for companion, frame in companions.items():
        for column in COMPANIONS[companion].columns:
            noisy = frame.with_columns(pl.col(column) * _noise(frame, column))
            yield f"{companion}.{column}", bars, {**companions, companion: noisy}


def _noise(frame: pl.DataFrame, name: str) -> pl.Series:
    return pl.Series(np.random.default_rng(len(name)).uniform(0.9, 1.1, frame.height))


def different(first: pl.DataFrame, second: pl.DataFrame) -> list[Divergence]:
    """The first bar of each column in which two frames of features differ by more than the tolerance.

    ``rows`` alone where the frames do not hold the same bars.
    """
    if not first.select(computation.KEYS).equals(second.select(computation.KEYS)):
        return [Divergence(ROWS)]
    found = []
    for name in first.columns[len(computation.KEYS) :]:
        one, other = first[name].to_numpy(), second[name].to_numpy()
        size = np.nan_to_num(np.abs(one), posinf=0)
        allowed = TOLERANCE * np.maximum(size, np.median(size) if len(size) else 0)
        with np.errstate(invalid="ignore"):  # infinity minus itself
            same = (np.abs(one - other) <= allowed) | (one == other) | (np.isnan(one) & np.isnan(other))
        if not same.all():
            row = int(np.argmin(same))
            found.append(Divergence(name, first["ts"][row], first[name][row], second[name][row]))
    return found
