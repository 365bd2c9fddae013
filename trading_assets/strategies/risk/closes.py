"""What sizes and limits know of the past of prices: closes of decision bars, and how they moved. Point in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.strategies.signals import Stream

Closes = Callable[[Stream, datetime, datetime], pl.DataFrame]
"""(stream, since, until): ``known_at`` and ``close`` of its bars that closed in [since, until], ascending."""

LEAST_RETURNS: Final = 20
"""From fewer, no volatility is told: its standard error is a sixth of it there (1 / sqrt(2 n))."""

_YEAR: Final = timedelta(days=365)
_LEAST_SPAN: Final = 0.5
"""Of the window, that the closes must reach over."""


def realised_volatility(closes: pl.DataFrame, window: timedelta) -> float | None:
    """The volatility a year of the closes of a window; None where they are too few or reach over less than half of it.

    The square root of the sum of squared log returns over the time that they took, without a mean: over a few days a
    mean is noise. A return over a gap counts with the time of the gap.

    Parameters
    ----------
    closes
        ``known_at`` and ``close``, ascending; none after the decision.
    window
        That they were taken from.

    References
    ----------
    T. G. Andersen, T. Bollerslev, F. X. Diebold, P. Labys, "Modeling and forecasting realized volatility",
    *Econometrica* 71, 2003.
    """
    if closes.height <= LEAST_RETURNS:
        return None
    span: timedelta = closes["known_at"][-1] - closes["known_at"][0]
    if span < _LEAST_SPAN * window:
        return None
    returns = np.diff(np.log(closes["close"].to_numpy()))
    return float(np.sqrt(np.sum(returns**2) / (span / _YEAR)))


class StoredCloses:
    """Closes of bars that are there as a whole, as a backtest has them; told no further than asked.

    Parameters
    ----------
    bars
        Stream -> ``known_at`` and ``close`` of its bars, ascending.
    """

    def __init__(self, bars: Mapping[Stream, pl.DataFrame]) -> None:
        self._bars = bars

    def __call__(self, stream: Stream, since: datetime, until: datetime) -> pl.DataFrame:
        """Those that closed in [since, until]; none of a stream that is not there."""
        return between(self._bars[stream], since, until) if stream in self._bars else NO_CLOSES


def between(bars: pl.DataFrame, since: datetime, until: datetime) -> pl.DataFrame:
    """``known_at`` and ``close`` of the bars that closed in [since, until]."""
    known = bars["known_at"]
    first, last = known.search_sorted(since, side="left"), known.search_sorted(until, side="right")
    return bars.select("known_at", "close").slice(first, last - first)


NO_CLOSES: Final = pl.DataFrame(schema={"known_at": pl.Datetime("us", "UTC"), "close": pl.Float64})
