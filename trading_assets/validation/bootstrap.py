"""Confidence intervals by the stationary block bootstrap: what else could have come out of the same market.

Returns remember (calm and wild weeks, trades that overlap), so single days must not be shuffled.
The stationary bootstrap strings together blocks of neighbouring observations, each of random (geometric) length, and
closes the series to a circle so that every observation is drawn equally often. Each resampled series gives one value of
the metric, and the quantiles of those values bound the interval (percentile method).

Sources: D. N. Politis and J. P. Romano, "The Stationary Bootstrap", *JASA* 89(428), 1994; the average block length:
D. N. Politis and H. White, "Automatic Block-Length Selection for the Dependent Bootstrap", *Econometric Reviews* 23(1),
2004, with the correction by Patton, Politis and White, 28(4), 2009. Both as the library ``arch`` has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.validation.performance import finite, max_drawdown, profit_factor, sharpe, win_rate

MIN_OBSERVATIONS: Final = 10
"""Fewer show no memory that could be measured, and make no interval."""

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Takes ``(resamples, n)`` and works along the last axis."""

OF_DAILY_RETURNS: Final[Mapping[str, Statistic]] = {"sharpe": sharpe, "max_drawdown": max_drawdown}
"""The statistics of a daily equity curve, named as the backtest's metrics."""

OF_TRADES: Final[Mapping[str, Statistic]] = {"profit_factor": profit_factor, "win_rate": win_rate}
"""The statistics of the profits of trades in the order of their exits, named as the backtest's metrics."""

_WHERE: Final = "bootstrap"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes
    ----------
    estimate
        The statistic of the series itself.
    low, high
        The bounds.
    standard_error
        The spread (n - 1) of the statistic over the resampled series.
    confidence
        The share of such intervals that hold the true value, e.g. 0.95.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    confidence: float


def optimal_block_length(values: npt.ArrayLike) -> float:
    """The average block length that the memory of a series asks for (Politis and White), at least 1.

    A series without spread needs no blocks: 1.

    Raises
    ------
    InvalidFrame
        If a value is not finite or there are fewer than ten.
    """
    from arch.bootstrap import optimal_block_length as politis_white

    series = _checked(values)
    if np.ptp(series) == 0:
        return 1.0
    with np.errstate(all="ignore"):
        length = float(politis_white(series)["stationary"].iloc[0])
    return max(1.0, length) if math.isfinite(length) else 1.0


def resample(length: int, *, block_length: float, resamples: int, seed: int) -> npt.NDArray[np.intp]:
    """Positions of stationary bootstrap samples.

    Parameters
    ----------
    length
        Of the series.
    block_length
        The average length of a block; 1 draws single observations.
    resamples
        How many series.
    seed
        The same seed gives the same samples.

    Returns
    -------
    numpy.ndarray
        ``(resamples, length)``.
    """
    from arch.bootstrap import StationaryBootstrap

    if length < 1 or resamples < 1 or not block_length >= 1:
        raise SettingsError(f"length {length}, {resamples} resamples, block length {block_length}", where=_WHERE)
    # Annotated as whole, but only its reciprocal is used: the chance that a block ends.
    draw = StationaryBootstrap(block_length, np.arange(length), seed=np.random.default_rng(seed))  # type: ignore[arg-type]
    return np.array([draw.update_indices() for _ in range(resamples)], dtype=np.intp)


def confidence_intervals(
    values: npt.ArrayLike,
    statistics: Mapping[str, Statistic],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    block_length: float | None = None,
    seed: int = 7,
) -> dict[str, Interval]:
    """Confidence intervals of statistics of one series, all from the same resampled series.

    The interval of the maximum drawdown says what the same days in other orders would have cost; it lies mostly above
    the drawdown of the one order that happened where that was a fortunate one. Memory is ``16 n`` bytes a resample.

    Parameters
    ----------
    values
        Daily returns, or profits of trades in the order of their exits.
    statistics
        By name, e.g. :data:`OF_DAILY_RETURNS` or :data:`OF_TRADES`.
    confidence
        Between 0 and 1.
    resamples
        How many series are drawn; the bounds' own noise falls with its root.
    block_length
        The average length of a block; empty finds it from the series' memory.
    seed
        The same seed gives the same intervals.

    Raises
    ------
    InvalidFrame
        If a value is not finite or there are fewer than ten.
    SettingsError
        If the confidence or a number is out of range.
    """
    if not 0 < confidence < 1:
        raise SettingsError(f"a confidence of {confidence} is not between 0 and 1", where=_WHERE)
    series = _checked(values)
    length = optimal_block_length(series) if block_length is None else block_length
    drawn = series[resample(series.size, block_length=length, resamples=resamples, seed=seed)]
    tail = (1 - confidence) / 2
    intervals = {}
    for name, statistic in statistics.items():
        samples = statistic(drawn)
        low, high = np.quantile(samples, [tail, 1 - tail])
        spread = float(samples.std(ddof=1)) if resamples > 1 else 0.0
        intervals[name] = Interval(float(statistic(series)), float(low), float(high), spread, confidence)
    return intervals


def _checked(values: npt.ArrayLike) -> Array:
    series = finite(values, "values", dimensions=1)
    if series.size < MIN_OBSERVATIONS:
        raise InvalidFrame(
            f"{series.size} observations are too few for an interval, {MIN_OBSERVATIONS} are needed", where=_WHERE
        )
    return series
