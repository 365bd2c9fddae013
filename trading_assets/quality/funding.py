"""Funding payments that a history lacks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.quality.finding import Finding

LONGEST: Final = timedelta(hours=8)
"""The longest time between two payments on the exchanges."""

LATE: Final = timedelta(hours=1)
"""How long after its time the newest payment may still be on its way."""

_JITTER: Final = timedelta(minutes=1)
_FEW: Final = pl.duration(hours=1)


def funding_gaps(times: pl.Series, *, start: datetime, end: datetime, now: datetime) -> Finding:
    """Find stretches between two payments that are longer than usual.

    Usual is the longer one of the stretches before and after, and at most eight hours: an exchange that turns to
    payments every four hours, and back, leaves no gap; a payment lost among others every four hours does.

    Parameters
    ----------
    times
        ``ts`` of the market's stored payments, ascending, with some before ``start`` and after ``end`` where stored.
    start, end
        What is judged, half open.
    now
        The present time.

    Returns
    -------
    Finding
        One row per gap: ``ts`` and ``end`` (when its first and last payment were due), ``hours`` between the payments
        around it, and how many are ``missing``.
    """
    until = min(end, now - LATE)
    if start >= until:
        return Finding(good="nothing is due yet")
    if times.is_empty():
        row = {"ts": [start], "end": [until], "what": ["no payment is stored"]}
        return Finding(pl.DataFrame(row).cast({"ts": times.dtype, "end": times.dtype}))
    ends = times.extend_constant(until, 1) if times[-1] < until else times
    lengths = pl.DataFrame({"before": ends[:-1], "after": ends[1:]}).with_columns(
        length=pl.col("after") - pl.col("before")
    )
    beside = pl.max_horizontal(pl.col("length").shift(1), pl.col("length").shift(-1)).fill_null(LONGEST)
    found = (
        lengths.with_columns(usual=pl.min_horizontal(beside, pl.lit(LONGEST)))
        .filter(pl.col("length") > pl.col("usual") + _JITTER)
        .select(
            "before",
            ts=pl.col("before") + pl.col("usual"),
            end=pl.max_horizontal(pl.col("before") + pl.col("usual"), pl.col("after") - pl.col("usual")),
            hours=pl.col("length") / _FEW,
            usual=pl.col("usual") / _FEW,
            missing=((pl.col("length") / pl.col("usual")).ceil() - 1).cast(pl.Int64),
        )
    )
    what = pl.format(
        "{} h without a payment from {}, usual {} h",
        pl.col("hours").round(2),
        pl.col("before").dt.strftime("%Y-%m-%d %H:%M"),
        pl.col("usual").round(2),
    )
    rows = found.select("ts", "end", what.alias("what"), "hours", "missing").sort("hours", descending=True)
    return Finding(rows, f"{times.len():,} payments without a gap").within(start, end)
