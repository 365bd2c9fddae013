"""From a frame of bars to a frame of features: checks, passes that fit the processor's cache, and the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.candles import OHLCV, TS
from trading_assets.errors import InvalidFrame
from trading_assets.features.bars import Bars
from trading_assets.features.companions import join
from trading_assets.features.registry import Family, Feature, Registry
from trading_assets.features.windows import Array

_CHUNK: Final = 12_288
"""Rows per pass. Features have a finite memory, so passes give the same values as one over the whole frame."""

_SHORT: Final = 128
"""Features that look no further back share arrays without the long lead of the others."""

KEYS: Final = ("market", "ts", "known_at")


def compute(
    bars: pl.DataFrame, registry: Registry, companions: Mapping[str, pl.DataFrame] | None = None
) -> pl.DataFrame:
    """Compute every feature of ``registry``; see :func:`trading_assets.features.compute`."""
    check(bars)
    joined = join(bars, companions or {})
    lead = registry.lookback_bars - 1
    rows = max(bars.height - lead, 0)
    known = set(companions or {})
    families = [family for family in registry.families if known.issuperset(family.features[0].companions)]
    values = {feature.name: np.empty(rows) for family in families for feature in family.features}
    columns, groups = arrays(bars), _by_reach(families)

    def compute_pass(first: int) -> None:
        last = min(first + _CHUNK, lead + rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            for reach, members in groups:
                part = slice(first - reach + 1, last)
                others = {name: column[part] for name, column in joined.items()}
                frame = Bars(*(column[part] for column in columns), companions=others)
                for family in members:
                    for feature, array in zip(family.features, family.values(frame), strict=True):
                        values[feature.name][first - lead : last - lead] = array[reach - 1 :]

    _side_by_side(compute_pass, range(lead, lead + rows, _CHUNK))
    keys = [bars[name][lead:] for name in KEYS]
    return pl.DataFrame(
        keys + [_series(feature, values.pop(name, None), rows) for name, feature in registry.features.items()]
    )


def _side_by_side(compute_pass: Callable[[int], None], passes: Sequence[int]) -> None:
    """Run the passes on all cores; NumPy works outside the interpreter's lock."""
    workers = min(len(passes), os.process_cpu_count() or 1)
    if workers < 2:
        for first in passes:
            compute_pass(first)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(compute_pass, passes))


def _series(feature: Feature, values: Array | None, rows: int) -> pl.Series:
    """A feature's column; null where a companion is not there or did not know."""
    if values is None:
        return pl.repeat(None, rows, dtype=pl.Float64, eager=True).alias(feature.name)
    series = _without_copy(values).alias(feature.name) if rows > _CHUNK else pl.Series(feature.name, values)
    return series.fill_nan(None) if feature.nullable else series


def _without_copy(values: Array) -> pl.Series:
    import pyarrow as pa

    array = pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
    return cast("pl.Series", pl.from_arrow(array))


def arrays(bars: pl.DataFrame) -> list[npt.NDArray[Any]]:
    """The columns that :class:`Bars` takes, in its order."""
    return [_microseconds(bars), *(bars[name].to_numpy() for name in OHLCV)]


def _microseconds(bars: pl.DataFrame) -> npt.NDArray[np.int64]:
    return bars["ts"].to_numpy().view(np.int64)


def _by_reach(all_families: list[Family]) -> list[tuple[int, list[Family]]]:
    """The families in two groups, each with the look-back that suffices for it."""
    groups: dict[bool, list[Family]] = {}
    for family in all_families:
        groups.setdefault(family.lookback <= _SHORT, []).append(family)
    return [(max(family.lookback for family in families), families) for families in groups.values()]


def check(bars: pl.DataFrame) -> None:
    """Raise ``InvalidFrame`` where ``bars`` cannot give honest features."""
    where = "bars for features"
    missing = [name for name in (*KEYS, *OHLCV) if name not in bars.columns]
    if missing:
        raise InvalidFrame(f"no column {', '.join(missing)}", where=where)
    expected = dict.fromkeys(("ts", "known_at"), TS) | dict.fromkeys(OHLCV, pl.Float64())
    for name, dtype in expected.items():
        if bars.schema[name] != dtype:
            raise InvalidFrame(f"{name} is {bars.schema[name]}", where=where, remedy=f"make it {dtype}")
    if bars.is_empty():
        return
    where = str(bars["market"][0])
    if not (bars["market"] == bars["market"][0]).all():
        raise InvalidFrame("several markets in one frame", where=where, remedy="give one at a time")
    ts = _microseconds(bars)
    if not (ts[1:] > ts[:-1]).all():
        raise InvalidFrame("ts is not strictly ascending", where=where, remedy="sort, and keep one row per ts")
    for name in OHLCV:
        values = bars[name].to_numpy()
        bad = ~np.isfinite(values) | (values < 0 if name == "volume" else values <= 0)
        if bad.any():
            row = int(bad.argmax())
            raise InvalidFrame(f"{name} is {bars[name][row]}", where=f"{where} {bars['ts'][row]:%Y-%m-%d %H:%M}")
