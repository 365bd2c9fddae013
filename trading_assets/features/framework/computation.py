"""From a frame of bars to a frame of features: checks, passes that fit the processor's cache, and the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import OHLCV, TS, require_columns
from trading_assets.core.cores import cores
from trading_assets.core.errors import InvalidFrame
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.auxiliary_series import join
from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.feature_set import Calculation, FeatureSet
from trading_assets.features.framework.windows import Array

_CHUNK: Final = 54_000
"""Rows per pass at most: so many that threads seldom wait for the interpreter's lock, so few that memory suffices.

Features have a finite memory, so passes give the same values as one over the whole frame.
"""

_WORTH_A_THREAD: Final = 12_288
"""Up to so many rows, one core alone is faster."""

_NEAR: Final = 24
"""Features that look no further back, most of them candlestick patterns, share nothing with the others.

The others' shared series would be most of what a pass holds in memory.
"""

_REACHES: Final = (_NEAR, 128, 272, 576, 768, 1_200, 2_100, 5_000)
"""Features that look no further back share arrays without the long lead of the others."""

_FEW: Final = 128
"""Up to so many rows, a frame is made from one block: a series of each column takes longer to make than to compute."""

_SMALLEST: Final = 1e-60
_LARGEST: Final = 1e60
"""Prices and volumes beyond these have products and squares that no number holds."""

type Matrix = npt.NDArray[np.float64]

KEYS: Final = ("market", "ts", "known_at")

_DTYPES: Final = dict.fromkeys(("ts", "known_at"), TS) | dict.fromkeys(OHLCV, pl.Float64())


def compute(
    bars: pl.DataFrame, features: FeatureSet, companions: Mapping[str, pl.DataFrame] | None = None
) -> pl.DataFrame:
    """Compute every feature of a set; see :func:`trading_assets.features.compute`."""
    columns = arrays(bars, features.timeframe)
    joined = join(bars, companions or {})
    plan = features.planned(Plan, frozenset(joined))
    lead = plan.lookback - 1
    rows = max(bars.height - lead, 0)
    values = np.empty((len(features.features), rows))
    size = _rows_per_pass(rows)

    def compute_pass(first: int) -> None:
        last = min(first + size, lead + rows)
        part = slice(first - lead, last)
        others = {name: column[part] for name, column in joined.items()}
        fill(
            values[:, first - lead : last - lead],
            [column[part] for column in columns],
            others,
            features.timeframe,
            plan,
        )

    _side_by_side(compute_pass, range(lead, lead + rows, size))
    keys = pl.DataFrame([bars[name][lead:] for name in KEYS])
    return framed(keys, features, values, plan)


def fill(
    values: Matrix,
    columns: Sequence[npt.NDArray[Any]],
    joined: Mapping[str, Array],
    timeframe: Timeframe,
    plan: Plan,
) -> None:
    """Compute as many of the newest rows as ``values`` has columns, one row of it for each feature.

    Parameters
    ----------
    columns, joined
        :func:`arrays` and the companions, of these bars and of as many before them as the plan looks back on.
    """
    wanted_bars = values.shape[1]
    frame = Bars(*columns, timeframe=timeframe, companions=joined, wanted=wanted_bars)
    one = wanted_bars == 1  # of which numbers are quicker than arrays
    found = values[:, 0] if one else values
    with np.errstate(divide="ignore", invalid="ignore"):
        for reach, members in plan.groups:
            frame = frame.newest(reach - 1 + wanted_bars, shared=one or reach > _NEAR)
            wanted = -1 if one else slice(reach - 1, None)
            for calculation, positions in members:
                for position, array in zip(positions, calculation.values(frame), strict=True):
                    if position is not None:
                        found[position] = array[wanted]


def framed(keys: pl.DataFrame, features: FeatureSet, values: Matrix, plan: Plan) -> pl.DataFrame:
    """Keys and values, one row of ``values`` for each feature, as the frame of features."""
    rows = values.shape[1]
    if rows <= _FEW:
        values[plan.absent] = np.nan
        if rows and not np.isnan(values[plan.solid]).any():
            return pl.concat([keys, _few_rows(features, values)], how="horizontal")
    return pl.concat([keys, _many_rows(features, values, plan)], how="horizontal")


class Plan:
    """What to compute where certain inputs of companions are known, in groups by look-back.

    Attributes
    ----------
    lookback
        The longest look-back.
    groups
        The look-back that suffices for a group, and its calculations with their features' positions,
        None for one that is not wanted; longest first.
    absent
        The positions of features whose companion is not there.
    solid
        The positions of features that are never null.
    """

    def __init__(self, features: FeatureSet, known: frozenset[str]) -> None:
        position = {name: row for row, name in enumerate(features.features)}
        groups: dict[int, list[tuple[Calculation, list[int | None]]]] = {}
        self.absent: list[int] = []
        for calculation in features.calculations:
            positions = [position.get(feature.name) for feature in calculation.features]
            if known.issuperset(name for name in calculation.features[0].inputs if "." in name):
                group = sum(calculation.lookback > reach for reach in _REACHES)
                groups.setdefault(group, []).append((calculation, positions))
            else:
                self.absent += [one for one in positions if one is not None]
        reaches = [(max(one.lookback for one, _ in members), members) for members in groups.values()]
        self.groups = sorted(reaches, key=lambda group: -group[0])
        self.solid = np.array([position[name] for name in features.solid], dtype=np.int64)
        self.lookback = features.lookback_bars


def _rows_per_pass(rows: int) -> int:
    """So many that all cores have equally many passes of the same size."""
    passes = math.ceil(rows / _CHUNK)
    if rows > _WORTH_A_THREAD:
        passes = math.ceil(passes / cores()) * cores()
    return math.ceil(rows / max(passes, 1)) or 1


def _side_by_side(compute_pass: Callable[[int], None], passes: Sequence[int]) -> None:
    """Run the passes on all cores; NumPy and the compiled loops work outside the interpreter's lock."""
    workers = min(len(passes), cores())
    if workers < 2:
        for first in passes:
            compute_pass(first)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(compute_pass, passes))


def _few_rows(features: FeatureSet, values: Matrix) -> pl.DataFrame:
    """The features' columns, written at once as the transpose of a block whose NaN are nulls."""
    return pl.DataFrame(values, orient="row", nan_to_null=True).transpose(column_names=list(features.features))


def _many_rows(features: FeatureSet, values: Matrix, plan: Plan) -> pl.DataFrame:
    """The features' columns around the arrays, not copied; a null where a companion is not there or did not know."""
    import pyarrow as pa

    nothing = pa.nulls(values.shape[1], pa.float64())
    columns = {
        name: nothing if row in plan.absent else pa.array(values[row], from_pandas=feature.nullable)
        for row, (name, feature) in enumerate(features.features.items())
    }
    return cast("pl.DataFrame", pl.from_arrow(pa.table(columns)))


def arrays(bars: pl.DataFrame, timeframe: Timeframe) -> list[npt.NDArray[Any]]:
    """The columns that :class:`Bars` takes, in its order; ``InvalidFrame`` where they cannot give honest features."""
    where = "bars for features"
    require_columns(bars, (*KEYS, *OHLCV), where=where)
    series = {name: bars[name] for name in _DTYPES}
    for name, dtype in _DTYPES.items():
        if series[name].dtype != dtype:
            raise InvalidFrame(f"{name} is {series[name].dtype}", where=where, remedy=f"make it {dtype}")
    market = bars["market"]
    ts, known_at = (series[name].to_numpy().view(np.int64) for name in ("ts", "known_at"))
    columns = [ts, *(series[name].to_numpy() for name in OHLCV)]
    if bars.is_empty():
        return columns
    if market.null_count():
        raise InvalidFrame("market is null", where=where, remedy="name the market in each row")
    where = str(market[0])
    if not (market == market[0]).all():
        raise InvalidFrame("several markets in one frame", where=where, remedy="give one at a time")
    if not (ts[1:] > ts[:-1]).all():
        raise InvalidFrame("ts is not strictly ascending", where=where, remedy="sort, and keep one row per ts")
    if not (known_at - ts == timeframe.micros).all():
        raise InvalidFrame(
            f"a bar is not of {timeframe}", where=where, remedy=f"give {timeframe} bars, with known_at at their end"
        )
    _check_numbers(bars, *columns[1:])
    return columns


def _check_numbers(bars: pl.DataFrame, open_: Array, high: Array, low: Array, close: Array, volume: Array) -> None:
    held = (np.maximum(open_, close) <= high) & (np.minimum(open_, close) >= low)  # a NaN is neither
    smallest, largest = low.min() > _SMALLEST, high.max() < _LARGEST
    if held.all() and smallest and largest and volume.min() >= 0 and volume.max() < _LARGEST:
        return
    market, ts = bars["market"][0], bars["ts"]
    for name, values in zip(OHLCV, (open_, high, low, close, volume), strict=True):
        good = (values >= 0 if name == "volume" else values > _SMALLEST) & (values < _LARGEST)
        if not good.all():
            row = int(good.argmin())
            raise InvalidFrame(f"{name} is {values[row]}", where=f"{market} {ts[row]:%Y-%m-%d %H:%M}")
    row = int(held.argmin())
    raise InvalidFrame(
        f"open {open_[row]} and close {close[row]} are not between low {low[row]} and high {high[row]}",
        where=f"{market} {ts[row]:%Y-%m-%d %H:%M}",
        remedy="leave such bars out: a missing bar says nothing wrong",
    )
