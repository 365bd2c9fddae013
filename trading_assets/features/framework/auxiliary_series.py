"""Companions: what features read beside the bars of their market, joined as of ``known_at``.

A companion is a frame with ``known_at`` and the columns below. A bar sees the newest row that was known when the bar
closed (before that, where others publish it) and is not older than the companion's limit, so a value depends on a
bounded stretch of it. What was not known is NaN in the arrays and null in the result, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import TS, require_columns
from trading_assets.core.errors import InvalidFrame
from trading_assets.features.framework.windows import Array


@dataclass(frozen=True, slots=True)
class Companion:
    """What a companion's frame holds.

    Attributes
    ----------
    columns
        Its columns beside ``known_at``; Float64, finite or null.
    max_age
        How long after its ``known_at`` a row still counts.
    row
        What one row is.
    at_close
        Whether a row that becomes known at the moment at which the bar closes still counts: what is computed from
        bars does, what others publish comes too late for the decision.
    """

    columns: tuple[str, ...]
    max_age: timedelta
    row: str
    at_close: bool = False


COMPANIONS: Final[Mapping[str, Companion]] = {
    "leader": Companion(
        ("close",), timedelta(hours=1), "one closed bar of the leading market (`features.leader`)", at_close=True
    ),
    "second_exchange": Companion(
        ("close",),
        timedelta(0),
        "the bar of the same close of the market named as `second_exchange`: the same coin elsewhere",
        at_close=True,
    ),
    "funding": Companion(("rate",), timedelta(days=1), "one settled funding payment of the market"),
    "sentiment": Companion(("score",), timedelta(days=3), "one published score, -1 (fear) to 1 (greed)"),
    "book": Companion(
        ("spread_bps", "depth_imbalance", "order_flow_imbalance"),
        timedelta(0),
        "what the market's order book was within one bar",
        at_close=True,
    ),
    "trades": Companion(
        ("sign_imbalance", "volume_imbalance"),
        timedelta(0),
        "the public trades of the market within one bar",
        at_close=True,
    ),
}

INPUTS: Final = tuple(f"{name}.{column}" for name, one in COMPANIONS.items() for column in one.columns)


def named_in(inputs: Iterable[str]) -> tuple[str, ...]:
    """The companions that a feature's inputs name."""
    return tuple(dict.fromkeys(name.split(".")[0] for name in inputs if "." in name))


def join(bars: pl.DataFrame, companions: Mapping[str, pl.DataFrame]) -> dict[str, Array]:
    """Each companion column as it was known at each bar's ``known_at``, NaN where it was not.

    Raises
    ------
    InvalidFrame
        A companion is unknown, lacks a column, is not in the order of ``known_at``, or holds infinite values.
    """
    joined: dict[str, Array] = {}
    now = _microseconds(bars)
    for name, frame in companions.items():
        one, then = _checked(name, frame), _microseconds(frame)
        newest = np.searchsorted(then, now, side="right" if one.at_close else "left") - 1
        known = newest >= 0
        if len(then):
            known &= now - then[newest] <= one.max_age // timedelta(microseconds=1)
        for column in one.columns:
            values = np.append(frame[column].to_numpy(), np.nan)  # a null is NaN in NumPy
            seen = joined[f"{name}.{column}"] = values[np.where(known, newest, -1)]
            seen.flags.writeable = False  # features share it
    return joined


def _microseconds(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    return frame["known_at"].to_numpy().view(np.int64)


def _checked(name: str, frame: pl.DataFrame) -> Companion:
    where = f"companion {name}"
    one = COMPANIONS.get(name)
    if one is None:
        raise InvalidFrame("there is no such companion", where=where, remedy=f"known: {', '.join(COMPANIONS)}")
    require_columns(frame, ("known_at", *one.columns), where=where)
    for column, dtype in {"known_at": TS, **dict.fromkeys(one.columns, pl.Float64())}.items():
        if frame.schema[column] != dtype:
            raise InvalidFrame(f"{column} is {frame.schema[column]}", where=where, remedy=f"make it {dtype}")
    times = _microseconds(frame)
    if frame["known_at"].null_count() or not (times[1:] > times[:-1]).all():
        raise InvalidFrame(
            "known_at is not strictly ascending", where=where, remedy="sort by known_at, and keep one row of each"
        )
    for column in one.columns:
        if not frame[column].is_finite().all():
            raise InvalidFrame(f"{column} is not finite", where=where, remedy="give null where nothing is known")
    return one
