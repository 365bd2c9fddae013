"""Whether one set of probabilities is better than another by more than its noise: what a part must show to be kept.

Both are scored on the same outcomes, row by row, by the Brier score. Rows that lie close together share their outcome
and the market's mood, so the differences are gathered in spans of equal time, and spans are drawn in blocks as long as
their memory asks for (:mod:`trading_assets.validation.bootstrap`). Where memory is longer than the blocks, that is too
sure of itself (5 % of no differences pass for gains where 2.5 % should), so the interval reaches at least as far as
that of the slow waves (:mod:`trading_assets.validation.long_run`). What is better by chance passes in about one of
forty cases, and what is only more complicated, hence a little worse, in fewer.

Sources: G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", *Monthly Weather Review* 78, 1950;
F. X. Diebold and R. S. Mariano, "Comparing Predictive Accuracy", *Journal of Business & Economic Statistics* 13(3),
1995, of paired differences of losses that remember.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import InvalidFrame
from trading_assets.validation.bootstrap import MIN_OBSERVATIONS, optimal_block_length, resample
from trading_assets.validation.long_run import long_run_error, student_quantile
from trading_assets.validation.performance import finite
from trading_assets.validation.times import micros

SPANS: Final = 200
"""Spans of equal time at most: enough to see a memory, few enough to draw thousands of times."""

_WHERE: Final = "comparison of probabilities"

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gain:
    """What probabilities gain over others on the same outcomes; true where they do, by more than noise.

    Attributes
    ----------
    before, after
        The Brier scores; lower is better.
    low, high
        The interval of ``before - after``; NaN where too little was seen to tell.
    confidence
        The share of such intervals that hold the true difference.
    rows
        How many outcomes were compared.
    """

    before: float
    after: float
    low: float
    high: float
    confidence: float
    rows: int

    @property
    def gain(self) -> float:
        """By how much the score fell."""
        return self.before - self.after

    def __bool__(self) -> bool:
        return self.low > 0

    def __str__(self) -> str:
        text = f"Brier score {self.before:.5f} -> {self.after:.5f}"
        if math.isnan(self.low):
            return f"{text}, on too little to tell"
        return f"{text}, gain {self.gain:+.5f} ({self.low:+.5f} to {self.high:+.5f})"


def beats(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    outcome: npt.ArrayLike,
    known_at: pl.Series,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 7,
) -> Gain:
    """Compare two probabilities of each row with what happened.

    Neither must have seen the outcomes that it is scored on.

    Parameters
    ----------
    before
        Of what stands, e.g. the plain model.
    after
        Of what would take its place.
    outcome
        1 or 0.
    known_at
        When each row's decision could be taken; in any order, of any number of markets.
    confidence
        Of the interval.
    resamples
        How many series are drawn.
    seed
        The same seed gives the same interval.

    Returns
    -------
    Gain
        True where the interval lies above 0. Fewer than ten spans of time with rows cannot tell: false.

    Raises
    ------
    InvalidFrame
        If the columns differ in length, are empty, or hold a value that is not finite.
    """
    first, second, hit = (
        finite(values, name, dimensions=1)
        for name, values in (("before", before), ("after", after), ("outcome", outcome))
    )
    if not first.size == second.size == hit.size == len(known_at) or not first.size:
        sizes = ", ".join(map(str, (first.size, second.size, hit.size, len(known_at))))
        raise InvalidFrame(f"columns of {sizes} rows cannot be compared", where=_WHERE)
    differences = (first - hit) ** 2 - (second - hit) ** 2
    scores = float(np.mean((first - hit) ** 2)), float(np.mean((second - hit) ** 2))
    low, high = _interval(*_by_span(differences, micros(known_at)), confidence, resamples, seed)
    return Gain(*scores, low, high, confidence, first.size)


def _by_span(differences: Array, times: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Sum of the differences, and rows, of each span of time that has rows."""
    first = times.min()
    span = (times - first) * SPANS // (times.max() + 1 - first)
    count = np.bincount(span, minlength=SPANS).astype(np.float64)
    total = np.bincount(span, weights=differences, minlength=SPANS)
    return total[count > 0], count[count > 0]


def _interval(total: Array, count: Array, confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    """Of the mean difference: spans drawn in blocks, each with its rows; at least as wide as their slow waves say."""
    if total.size < MIN_OBSERVATIONS:
        return math.nan, math.nan
    influence = total - count * total.sum() / count.sum()
    drawn = resample(total.size, block_length=optimal_block_length(influence), resamples=resamples, seed=seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), [tail, 1 - tail])
    error, degrees = long_run_error(influence)
    mean, reach = total.sum() / count.sum(), error / count.mean() * student_quantile(degrees, 1 - tail)
    return float(min(low, mean - reach)), float(max(high, mean + reach))
