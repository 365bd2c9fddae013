"""The two times that every splitter works on: when a decision could be taken, and when its outcome was known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame

COLUMNS = ("known_at", "label_end")

Rows = npt.NDArray[np.intp]
Micros = npt.NDArray[np.int64]


def check_times(known_at: pl.Series, label_end: pl.Series, *, where: str) -> None:
    """Refuse columns that no splitter can work on.

    Raises
    ------
    InvalidFrame
        If the columns differ in length, have another type, nulls, or an outcome before its decision.
    """
    for name, column in zip(COLUMNS, (known_at, label_end), strict=True):
        if column.dtype != TS:
            raise InvalidFrame(f"{name} is {column.dtype}, not {TS}", where=where)
        if column.null_count():
            raise InvalidFrame(f"{name} has {column.null_count()} nulls", where=where)
    if len(known_at) != len(label_end):
        raise InvalidFrame(f"{len(known_at)} known_at but {len(label_end)} label_end", where=where)
    early = (label_end < known_at).sum()
    if early:
        raise InvalidFrame(f"{early} outcomes end before their decision", where=where)


def times_of(samples: Any, groups: Any, outcomes: Any = None, *, where: str) -> tuple[pl.Series, pl.Series]:
    """The columns ``known_at`` and ``label_end`` from what scikit-learn hands to a splitter.

    Parameters
    ----------
    samples
        scikit-learn's ``X``.
    groups
        scikit-learn's ``groups``: a frame with both columns; where it is empty, they are looked for in ``samples``.
    outcomes
        scikit-learn's ``y``.

    Raises
    ------
    InvalidFrame
        If neither is a Polars frame with both columns, or there are more or fewer samples or outcomes than times.
    """
    frame = samples if groups is None else groups
    if not isinstance(frame, pl.DataFrame) or not set(COLUMNS) <= set(frame.columns):
        raise InvalidFrame(
            f"no columns {' and '.join(COLUMNS)} to split on",
            where=where,
            remedy="pass a Polars frame with both as `groups`, e.g. "
            'cross_val_score(..., groups=dataset.frame.select("known_at", "label_end"))',
        )
    for name, given in (("samples", samples), ("outcomes", outcomes)):
        if given is None:
            continue
        rows = given.shape[0] if hasattr(given, "shape") else len(given)  # a sparse matrix has no length
        if rows != frame.height:  # positions would point at other rows
            raise InvalidFrame(f"{frame.height} times for {rows} {name}", where=where)
    return frame[COLUMNS[0]], frame[COLUMNS[1]]


def micros(times: pl.Series) -> Micros:
    """Microseconds since 1970."""
    return times.to_physical().to_numpy()


def numpy_time(moment: datetime) -> np.datetime64:
    """A UTC time as numpy counts it."""
    return np.datetime64(moment.replace(tzinfo=None), "us")


def days(length: timedelta) -> str:
    """A length in days, for messages."""
    return f"{length / timedelta(days=1):.1f}".removesuffix(".0")
