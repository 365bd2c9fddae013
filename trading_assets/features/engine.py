"""From a frame of bars to a frame of features: checks, passes that fit the processor's cache, and the result."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.candles import OHLCV, TS
from trading_assets.errors import InvalidFrame
from trading_assets.features.bars import Bars
from trading_assets.features.registry import Family, Registry

_CHUNK: Final = 12_288
"""Rows per pass. Features have a finite memory, so passes give the same values as one over the whole frame."""

_SHORT: Final = 128
"""Features that look no further back share arrays without the long lead of the others."""

KEYS: Final = ("market", "ts", "known_at")


def compute(bars: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """Compute every feature of ``registry``; see :func:`trading_assets.features.compute`."""
    check(bars)
    lead = registry.lookback_bars - 1
    rows = max(bars.height - lead, 0)
    columns = arrays(bars)
    position = {name: row for row, name in enumerate(registry.features)}
    values = np.empty((len(position), rows))
    with np.errstate(divide="ignore", invalid="ignore"):
        for first in range(lead, lead + rows, _CHUNK):
            last = min(first + _CHUNK, lead + rows)
            for reach, families in _by_reach(registry):
                frame = Bars(*(column[first - reach + 1 : last] for column in columns))
                for family in families:
                    for feature, array in zip(family.features, family.values(frame), strict=True):
                        values[position[feature.name], first - lead : last - lead] = array[reach - 1 :]
    keys = [bars[name][lead:] for name in KEYS]
    return pl.DataFrame(keys + [pl.Series(name, values[row]) for name, row in position.items()])


def arrays(bars: pl.DataFrame) -> list[npt.NDArray[Any]]:
    """The columns that :class:`Bars` takes, in its order."""
    return [_microseconds(bars), *(bars[name].to_numpy() for name in OHLCV)]


def _microseconds(bars: pl.DataFrame) -> npt.NDArray[np.int64]:
    return bars["ts"].to_numpy().view(np.int64)


def _by_reach(registry: Registry) -> list[tuple[int, list[Family]]]:
    """The families in two groups, each with the look-back that suffices for it."""
    groups: dict[bool, list[Family]] = {}
    for family in registry.families:
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
