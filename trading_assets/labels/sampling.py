"""A clock of activity: which bars are decided on, by how much has been traded or how far the price has gone.

On bars of a minute it ticks where a bar of volume, of value or of imbalance would close, so that decisions and outcomes
come by activity, and the features stay those of the timeframe. Source: M. López de Prado, *Advances in Financial
Machine Learning* (2018), sections 2.3 and, for the CUSUM filter, 2.5.2.

Each day (UTC) begins anew, and what makes a tick is the mean of the whole days before it. So a tick depends on the bars
up to its own alone, and on no more of them than :func:`lookback_bars`: the whole history, a month of it and what a node
holds tick on the same bars. (The book adapts its thresholds to an expectation that never forgets.)
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import SamplingSettings

_DAY: Final = timedelta(days=1)
_DAY_MICROS: Final = _DAY // timedelta(microseconds=1)


def ticks(bars: pl.DataFrame, sampling: SamplingSettings) -> pl.Series:
    """Whether the clock ticks with each bar.

    Parameters
    ----------
    bars
        Bars of one market and timeframe, ascending: ``ts, open, close, volume``. What is missing counts nothing.
    sampling
        What is summed, and how often it shall tick.

    Returns
    -------
    polars.Series
        ``ticks``, Boolean, a row per bar: false while the days before are not there as a whole, and where nothing was
        traded on them.
    """
    from trading_assets.labels.kernels import activity_ticks  # compiled on first use

    opened, close, volume = (bars[name].to_numpy().astype(np.float64) for name in ("open", "close", "volume"))
    amount, way = {
        "volume": (volume, 0),
        "notional": (volume * close, 0),
        "imbalance": (volume * close * np.sign(close - opened), 1),
        "moves": (close, 2),
    }[sampling.by]
    day = bars["ts"].to_physical().to_numpy() // _DAY_MICROS
    found = activity_ticks(day, amount, sampling.days, float(sampling.per_day), way)
    return pl.Series("ticks", found, dtype=pl.Boolean)


def lookback_bars(sampling: SamplingSettings, timeframe: Timeframe) -> int:
    """Bars that a tick depends on, its own included: those of its day, of the days before, and one before these."""
    return (sampling.days + 1) * (_DAY // timeframe.length) + 1
