"""Which of two records of the same days is better, and how sure that is: the paired block bootstrap.

Two strategies of one market gain and lose on the same days, so their records must be drawn together: each resampled
series takes the same days of both, in blocks as long as the memory of their difference. The share of the series on
which one is ahead is the probability that it is better. Of two that are equally good it is equally likely to be
anything between 0 and 1, so that asking for 0.6 lets chance through in 40 of 100 cases.

Source: O. Ledoit and M. Wolf, "Robust Performance Hypothesis Testing with the Sharpe Ratio", *Journal of Empirical
Finance* 15(5), 2008, where the bootstrap of the paired returns is compared with the asymptotic test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import InvalidFrame
from trading_assets.validation.bootstrap import Array, Interval, optimal_block_length, resample
from trading_assets.validation.performance import finite, sharpe


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of two records.

    Attributes
    ----------
    first, second
        The measure of each.
    interval
        Of the first's less the second's.
    better
        The probability that the first's is larger; where they are equal, half of it.
    """

    first: float
    second: float
    interval: Interval
    better: float


def _mean(returns: Array) -> Array:
    return np.asarray(returns.mean(axis=-1))


MEASURES: Final[Mapping[str, Callable[[Array], Array]]] = {"sharpe": sharpe, "mean_return": _mean}
"""Of daily returns: the annualised Sharpe ratio, and the mean of a day."""


def compare_returns(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    block_length: float | None = None,
    seed: int = 7,
) -> dict[str, Difference]:
    """Every measure of :data:`MEASURES` of two records of the same days.

    Parameters
    ----------
    first, second
        Daily returns, day by day the same days.
    confidence
        Of the intervals.
    resamples
        How many series are drawn.
    block_length
        The average length of a block; empty finds it from the memory of the difference.
    seed
        The same seed gives the same answer.

    Raises
    ------
    InvalidFrame
        If they differ in length, a value is not finite, or there are fewer than ten days.
    """
    one, other = finite(first, "returns", dimensions=1), finite(second, "returns", dimensions=1)
    if one.size != other.size:
        raise InvalidFrame(f"{one.size} and {other.size} days are not the same days", where="paired bootstrap")
    length = optimal_block_length(one - other) if block_length is None else block_length
    days = resample(one.size, block_length=length, resamples=resamples, seed=seed)
    drawn, drawn_other, tail = one[days], other[days], (1 - confidence) / 2
    found = {}
    for name, measure in MEASURES.items():
        ahead = measure(drawn) - measure(drawn_other)
        low, high = np.quantile(ahead, [tail, 1 - tail])
        mine, its = float(measure(one)), float(measure(other))
        interval = Interval(mine - its, float(low), float(high), float(ahead.std(ddof=1)), confidence)
        found[name] = Difference(mine, its, interval, float(np.mean(ahead > 0) + np.mean(ahead == 0) / 2))
    return found
