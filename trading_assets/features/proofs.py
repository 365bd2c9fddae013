"""Proofs that features do not lie: each returns what it found wrong, so an empty list is a pass.

They take any function from bars to features, so they apply to the project's registry and to a user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.candles import OHLCV
from trading_assets.features import engine
from trading_assets.features.bars import Bars
from trading_assets.features.companions import INPUTS
from trading_assets.features.registry import Family, Registry

type Compute = Callable[[pl.DataFrame], pl.DataFrame]

_PHASES: Final = 96
"""As many ends of a frame as a day has: look-backs of features on the clock differ between them."""

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


def overstated_look_backs(registry: Registry, bars: pl.DataFrame) -> list[str]:
    """The features that do not need the oldest bar of their look-back at any of the last 96 rows."""
    return [family.features[0].name for family in registry.families if not _needs_all(family, bars)]


def _needs_all(family: Family, bars: pl.DataFrame) -> bool:
    if family.lookback == 1:
        return True
    columns = engine.arrays(bars)
    with np.errstate(divide="ignore", invalid="ignore"):
        for end in range(bars.height, bars.height - _PHASES, -1):
            oldest = end - family.lookback
            spiked = [column[:end].copy() for column in columns]
            for prices in spiked[1:5]:
                prices[oldest] *= 3
            spiked[5][oldest] = 50 * spiked[5].max()
            whole = family.values(_frame(spiked))
            cut = family.values(_frame([column[oldest + 1 :] for column in spiked]))
            if any(not np.isclose(one[-1], other[-1], 1e-12, 0) for one, other in zip(whole, cut, strict=True)):
                return True
    return False


def _frame(columns: Sequence[npt.NDArray[Any]]) -> Bars:
    """Arrays as bars with companions that follow the close, shifted."""
    close = columns[4]
    others = {name: close * (1 + number / 100) for number, name in enumerate(INPUTS)}
    return Bars(*columns, companions=others)


def understated_look_backs(registry: Registry, bars: pl.DataFrame, *, row: int) -> list[str]:
    """The features whose value at ``row`` needs more bars than they declare."""
    columns = engine.arrays(bars)
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = _frame([column[: row + 1] for column in columns])
        for family in registry.families:
            alone = _frame([column[row + 1 - family.lookback : row + 1] for column in columns])
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
