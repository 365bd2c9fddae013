"""Prices that jump to another level and stay there: splits, redenominations, renamed coins, feeds in other units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.quality.finding import Finding

type Array = npt.NDArray[np.float64]

SIDE_BARS: Final = 30
"""Candles on each side whose median close is the level there, and which must stay on its side."""

LEAST_BARS: Final = 5
"""With fewer on a side nothing can be said about a level."""

INSIDE_FACTOR: Final = 5.0
"""The least factor of a step inside one candle: smaller moves inside a candle were traded through."""

QUIET: Final = 3.0
"""A step is so many times as large as the next largest move among the candles of both sides."""

KNOWN_WITHIN: Final = timedelta(days=1)
"""An event so near to a step explains it: who tells it often knows the day alone."""

STEPS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "ts": TS,
    "before": pl.Float64,
    "after": pl.Float64,
    "factor": pl.Float64,
    "pause": pl.Duration("us"),
}
"""``ts`` is the open of the first candle at the new level, ``pause`` the time without candles before it."""

_NONE: Final = pl.DataFrame(schema=STEPS)


def level_steps(
    candles: pl.DataFrame, *, timeframe: str, min_factor: float, least_after: int = LEAST_BARS
) -> pl.DataFrame:
    """Find where the price goes to another level at once and does not return.

    A market that trades day and night moves through the prices between: so a step is a candle that *opens* away from
    the close before by ``min_factor`` or more, up or down, also after a halt; or one that, by :data:`INSIDE_FACTOR` or
    more, closes away from its open, as a bar does whose minutes hold such a step. The closes on each side must stay
    nearer to their own level, so that a bad print or a crash with a recovery is none; and the step must be
    :data:`QUIET` times as large as any other move there, so that a wild market is none.

    Parameters
    ----------
    candles
        ``ts``, ``open``, ``close`` of one market, by ascending ``ts``.
    timeframe
        Of the candles.
    min_factor
        The least ratio of both levels, above 1.
    least_after
        Candles at the new level that make it one; a node cannot wait for several.

    Returns
    -------
    polars.DataFrame
        :data:`STEPS`, ascending.
    """
    if candles.height <= LEAST_BARS:
        return _NONE
    opens, closes = (candles[name].to_numpy() for name in ("open", "close"))
    hit = _apart(closes[:-1], opens[1:], min_factor) | _apart(opens[1:], closes[1:], INSIDE_FACTOR)
    if not hit.any():
        return _NONE
    found = [step for row in np.flatnonzero(hit) + 1 if (step := _step(opens, closes, int(row), least_after))]
    found = [step for step in found if abs(step[2] - step[1]) >= math.log(min_factor)]
    length, times = timeframe_delta(timeframe), candles["ts"]
    rows = [
        (times[row], math.exp(before), math.exp(after), math.exp(after - before), times[row] - times[row - 1] - length)
        for row, before, after in found
    ]
    return pl.DataFrame(rows, schema=STEPS, orient="row")


def unexplained_steps(
    candles: pl.DataFrame, *, timeframe: str, min_factor: float, known: Sequence[datetime] = ()
) -> Finding:
    """Find level steps that no event near them explains; see :func:`level_steps`.

    Parameters
    ----------
    known
        When events of the market took effect.

    Returns
    -------
    Finding
        One row per step: ``before``, ``after`` (median close of the candles on each side), ``factor``.
    """
    steps = level_steps(candles, timeframe=timeframe, min_factor=min_factor)
    told = [any(abs(at - one) <= KNOWN_WITHIN for one in known) for at in steps["ts"]]
    rows = steps.filter(~pl.Series(told, dtype=pl.Boolean)).sort(pl.col("factor").log().abs(), descending=True)
    times = pl.when(pl.col("factor") >= 1).then(pl.col("factor")).otherwise(1 / pl.col("factor")).round_sig_figs(4)
    halt = pl.format(" after {} min without candles", pl.col("pause").dt.total_minutes())
    what = pl.format(
        "level {} before {}, {} from it on ({}-fold {}){}, and no return",
        pl.col("before").round_sig_figs(6),
        pl.col("ts").dt.to_string("%Y-%m-%d %H:%M"),
        pl.col("after").round_sig_figs(6),
        times,
        pl.when(pl.col("factor") >= 1).then(pl.lit("up")).otherwise(pl.lit("down")),
        pl.when(pl.col("pause") > timedelta(0)).then(halt).otherwise(pl.lit("")),
    )
    return Finding(
        rows.select("ts", what.alias("what"), "before", "after", "factor"),
        f"no price goes to another level by {min_factor:g} times or more and stays there, but where an event says so",
    )


def _apart(old: Array, new: Array, factor: float) -> npt.NDArray[np.bool_]:
    ratio = new / old
    return np.asarray((ratio >= factor) | (ratio <= 1 / factor))


def _step(opens: Array, closes: Array, row: int, least_after: int) -> tuple[int, float, float] | None:
    """The row and the logarithms of both levels, if the price goes there at once and stays."""
    first, last = max(row - SIDE_BARS, 0), row + SIDE_BARS
    old, new, opened = np.log(closes[first:row]), np.log(closes[row:last]), np.log(opens[row + 1 : last])
    if len(old) < LEAST_BARS or len(new) < least_after:
        return None
    before, after = float(np.median(old)), float(np.median(new))
    size, middle = after - before, (before + after) / 2
    if ((new - middle) * size <= 0).any() or ((old - middle) * size >= 0).any():
        return None
    moves = np.abs(np.concatenate((np.diff(old), np.diff(new), opened - new[:-1])))
    return (row, before, after) if abs(size) >= QUIET * moves.max() else None
