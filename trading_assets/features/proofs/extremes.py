"""Bars in which everything happens that a feature's rare branches wait for, so that the proofs look into them."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.proofs.proving import as_bars, made_up_bars

_STILL: Final = 6
"""The first bars of a course, in which nothing moves and nothing is traded."""

_MOVES: Final = np.log(
    [
        *[1.0] * _STILL,
        1.03,
        1.001,
        0.97,
        0.999,
        1.06,
        1.001,
        0.94,
        0.999,
        1.12,
        1.001,
        0.88,
        0.999,
        2.0,
        1.001,
        0.5,
        0.999,
    ]
    + [1.03, 1.001, 0.97, 0.999]
    + [1.006] * 12
    + [0.994] * 12
)
"""Close over the close before, bar after bar of a course; after them the walk goes on."""

_OPENS_AWAY: Final = (22, 24)
"""Where the jump lies between the close before and the open."""

_SHADOWS: Final = (7, 13)
_BURSTS: Final = (9, 10)

_GAPS: Final = ((55, 1), (60, 40))
"""Bars of a course that are missing: from which on, and how many."""


def made_up_extremes(rows: int, timeframe: Timeframe, *, seed: int = 1, every: int = 100) -> pl.DataFrame:
    """The random walk of :func:`made_up_bars`, and in each ``every`` bars of it all that markets do now and then.

    Standstills without volume, jumps of 3, 6 and 12 % within a bar and between two, trends of twelve bars, long
    shadows, bursts of volume, halving and doubling, and missing bars.
    """
    gap_rows = sum(missing for _, missing in _GAPS)
    courses = -(-rows // every)
    walk = made_up_bars(rows + courses * gap_rows, timeframe, seed=seed)
    count = walk.height
    place = (np.arange(count) - count) % (every + gap_rows)  # the newest course is whole
    close = walk["close"].to_numpy()
    move = np.diff(np.log(close), prepend=np.log(close[0]))
    move = np.where(place < len(_MOVES), np.append(_MOVES, 0.0)[np.minimum(place, len(_MOVES))], move)
    move[place == len(_MOVES)] = 0.0
    close = 100 * np.exp(np.cumsum(move))
    before = np.append(100.0, close[:-1])
    open_ = np.where(np.isin(place, _OPENS_AWAY), close, before)
    above, below = (walk["high"] / walk["close"]).to_numpy(), (walk["low"] / walk["close"]).to_numpy()
    still = place < _STILL
    shadow = np.where(np.isin(place, _SHADOWS), 0.08, 0.0)
    high = np.maximum(open_, close) * np.where(still, 1.0, np.maximum(above, 1.0) + shadow)
    low = np.minimum(open_, close) * np.where(still, 1.0, np.minimum(below, 1.0) - shadow)
    volume = walk["volume"].to_numpy() * np.where(still, 0.0, np.where(np.isin(place, _BURSTS), 50.0, 1.0))
    bars = as_bars({"open": open_, "high": high, "low": low, "close": close, "volume": volume}, timeframe)
    kept = np.ones(count, dtype=bool)
    for first, missing in _GAPS:
        kept &= ~((place >= first) & (place < first + missing))
    return bars.filter(pl.Series(kept)).tail(rows)
