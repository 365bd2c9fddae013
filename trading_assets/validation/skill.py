"""Whether probabilities rank returns: the skill that a profit must come from, measured on every prediction.

A backtest rests on some dozens of trades; a walk-forward makes thousands of predictions, traded or not. Where the price
is a martingale, no function of the past is correlated with the return of what follows, however well it tells when the
market will be lively. So the mean product of a forecast and the return after it, less what their means alone would
make, tests whether there is anything to earn: S. Anatolyev and A. Gerko, "A Trading Approach to Testing for
Predictability", *Journal of Business & Economic Statistics* 23(4), 2005, with the forecast's rank in the place of its
sign. Divided by both spreads it is the information coefficient of R. C. Grinold and R. N. Kahn, *Active Portfolio
Management*, 2nd ed., McGraw-Hill 2000. Outcomes overlap and probabilities remember for weeks, so the error is that of
whole days with all of their memory: :func:`trading_assets.validation.long_run.long_run_error`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame
from trading_assets.validation.bootstrap import MIN_OBSERVATIONS, Interval
from trading_assets.validation.long_run import long_run_error, student_quantile
from trading_assets.validation.performance import FLAT, finite

Array = npt.NDArray[np.float64]


def information_coefficient(predictions: pl.DataFrame, *, confidence: float = 0.95) -> Interval:
    """The correlation between the rank of a probability and the return that followed, with its interval.

    All predictions are ranked together, as one threshold trades all of them. Within a fold alone, ranks would look
    ahead: a price that is low among those of its fortnight rises within it, skill or not. Where there are two sides,
    rank and return are measured from the means of their side: that a rising market paid the long ones is no skill.

    Parameters
    ----------
    predictions
        Of one model, out of sample: ``probability``, ``return`` and ``known_at`` (UTC); ``side`` where there are two.
    confidence
        Between 0 and 1.

    Returns
    -------
    Interval
        In [-1, 1], 0 without skill; NaN where all probabilities, or all returns, are equal.

    Raises
    ------
    InvalidFrame
        If a column is missing or of another type, predictions cover fewer than ten days, or a probability or return is
        not finite.
    """
    _check(predictions)
    if (days := decision_days(predictions)) < MIN_OBSERVATIONS:
        raise InvalidFrame(f"{days} days are too few for an interval, {MIN_OBSERVATIONS} are needed", where="skill")
    for name in ("probability", "return"):
        finite(predictions[name].to_numpy(), f"values of {name}", dimensions=1)
    sums = _daily_sums(predictions)
    estimate = float(_correlation(sums.sum(axis=0)))
    if math.isnan(estimate):
        return Interval(estimate, estimate, estimate, estimate, confidence)
    error, degrees = long_run_error(_influence(sums, estimate))
    reach = error * student_quantile(degrees, (1 + confidence) / 2)
    low, high = max(estimate - reach, -1.0), min(estimate + reach, 1.0)
    return Interval(estimate, low, high, error, confidence)


def _check(predictions: pl.DataFrame) -> None:
    for name in ("known_at", "probability", "return"):
        dtype = predictions.schema.get(name)
        if dtype is None:
            raise InvalidFrame(f"no column {name}", where="skill")
        if dtype != TS if name == "known_at" else not dtype.is_numeric():
            raise InvalidFrame(
                f"{name} is {dtype}", where="skill", remedy=f"make it {TS if name == 'known_at' else 'Float64'}"
            )


def decision_days(predictions: pl.DataFrame) -> int:
    """On how many days (UTC) predictions were made."""
    return predictions["known_at"].dt.truncate("1d").n_unique()


def _daily_sums(predictions: pl.DataFrame) -> Array:
    """For each day: count, sums of rank and return, of their squares, and of their product; both around their means."""
    rank, value = pl.col("probability").rank() / pl.len(), pl.col("return")
    if "side" in predictions.columns:
        of_rank, of_value = (one.mean().over(predictions["side"]) for one in (rank, value))
    else:
        of_rank, of_value = rank.mean(), value.mean()
    sums = (
        predictions.select(day=pl.col("known_at").dt.truncate("1d"), u=rank - of_rank, r=value - of_value)
        .group_by("day")
        .agg(
            pl.len(),
            pl.sum("u"),
            pl.sum("r"),
            uu=(pl.col("u") ** 2).sum(),
            rr=(pl.col("r") ** 2).sum(),
            ur=(pl.col("u") * pl.col("r")).sum(),
        )
        .sort("day")
    )
    return sums.drop("day").cast(pl.Float64).to_numpy()


def _influence(sums: Array, coefficient: float) -> Array:
    """What each day adds to the coefficient: its product of both standardised, less what its spreads alone would make.

    Their mean is 0, and the error of the mean that of the coefficient.
    """
    n, _, _, uu, rr, ur = np.moveaxis(sums, -1, 0)
    rows = n.sum()
    of_rank, of_return = math.sqrt(uu.sum() / rows), math.sqrt(rr.sum() / rows)
    spreads = coefficient / 2 * (uu / of_rank**2 + rr / of_return**2)
    return np.asarray((ur / (of_rank * of_return) - spreads) / rows * len(sums))


def _correlation(sums: Array) -> Array:
    """From sums along the last axis; NaN without spread."""
    n, u, r, uu, rr, ur = np.moveaxis(sums, -1, 0)
    spread = np.sqrt(np.maximum(uu / n - (u / n) ** 2, 0) * np.maximum(rr / n - (r / n) ** 2, 0))
    missing = np.full_like(spread, math.nan)
    return np.asarray(np.divide(ur / n - u * r / n**2, spread, out=missing, where=spread > FLAT))
