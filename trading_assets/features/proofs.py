"""Proofs that features do not lie: each returns what it found wrong, so an empty list is a pass.

They take any function from bars to features, so they apply to the project's registry and to a user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from trading_assets.candles import OHLCV
from trading_assets.features import engine
from trading_assets.features.bars import Bars
from trading_assets.features.registry import Registry

type Compute = Callable[[pl.DataFrame], pl.DataFrame]

TOLERANCE: Final = 1e-9
"""Relative to the larger of a value and its column's median magnitude (values near zero are differences)."""


def look_ahead(compute: Compute, bars: pl.DataFrame, *, row: int, factors: Sequence[float]) -> list[str]:
    """The features of which any value up to ``row`` changes when later bars do.

    Parameters
    ----------
    row
        The last bar that stays as it is.
    factors
        Prices and volume of the bars after ``row`` are multiplied by these, in turn.
    """
    later = pl.int_range(pl.len()) > row
    cycle = pl.Series(np.resize(np.asarray(factors, dtype=float), bars.height))
    changed = bars.with_columns(pl.when(later).then(pl.col(name) * cycle).otherwise(pl.col(name)) for name in OHLCV)
    known = pl.col("ts") <= bars["ts"][row]
    return different(compute(bars).filter(known), compute(changed).filter(known))


def dependence_on_partitions(compute: Compute, bars: pl.DataFrame, *, lookback: int, cuts: Iterable[int]) -> list[str]:
    """The features that differ between the whole frame and parts of it, each with its look-back before it.

    Parameters
    ----------
    cuts
        Row numbers at which the result is cut into parts.
    """
    edges = sorted({lookback - 1, *(cut for cut in cuts if lookback <= cut < bars.height), bars.height})
    parts = [compute(bars[first - lookback + 1 : last]) for first, last in pairwise(edges)]
    return different(compute(bars), pl.concat(parts))


def understated_look_backs(registry: Registry, bars: pl.DataFrame, *, row: int) -> list[str]:
    """The features whose value at ``row`` needs more bars than they declare."""
    columns = engine.arrays(bars)
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = Bars(*(column[: row + 1] for column in columns))
        for family in registry.families:
            alone = Bars(*(column[row + 1 - family.lookback : row + 1] for column in columns))
            pairs = zip(family.features, family.values(whole), family.values(alone), strict=True)
            found += [feature.name for feature, value, own in pairs if not np.isclose(value[-1], own[-1], TOLERANCE, 0)]
    return found


def undeclared_inputs(registry: Registry, bars: pl.DataFrame) -> list[str]:
    """The features that change with a column of the bars which they do not declare."""
    before = engine.compute(bars, registry)
    found = set()
    for name in OHLCV:
        noise = np.random.default_rng(len(name)).uniform(0.9, 1.1, bars.height)
        after = engine.compute(bars.with_columns(pl.col(name) * noise), registry)
        found |= {changed for changed in different(before, after) if name not in registry.features[changed].inputs}
    return sorted(found)


def different(first: pl.DataFrame, second: pl.DataFrame) -> list[str]:
    """The columns in which two frames of features differ by more than the tolerance; ``rows`` where their keys do."""
    if not first.select(engine.KEYS).equals(second.select(engine.KEYS)):
        return ["rows"]
    found = []
    for name in first.columns[len(engine.KEYS) :]:
        one, other = first[name].to_numpy(), second[name].to_numpy()
        size = np.nan_to_num(np.abs(one), posinf=0)
        allowed = TOLERANCE * np.maximum(size, np.median(size) if len(size) else 0)
        same = (np.abs(one - other) <= allowed) | (one == other) | (np.isnan(one) & np.isnan(other))
        if not same.all():
            found.append(name)
    return found
