"""From daily returns and the registry's trials to the figures that a gate asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy.typing as npt

from trading_assets.validation.performance import DAYS_PER_YEAR
from trading_assets.validation.sharpe import (
    SharpeEstimate,
    Trials,
    deflated_sharpe_ratio,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)

NEVER_DAYS: Final = 36_500.0
"""Stands for "no track record would do"; longer ones are cut to it."""


def credibility(daily_returns: npt.ArrayLike, trial_sharpes: Sequence[float], *, trials: int = 0) -> dict[str, float]:
    """What is left of a backtest's Sharpe ratio after its error and after all that was tried.

    Parameters
    ----------
    daily_returns
        Of the chosen strategy, days without a trade included.
    trial_sharpes
        Annualised daily Sharpe ratios (365 days) of every trial, the chosen one included.
    trials
        How many trials there were where some have no Sharpe ratio, e.g. because they failed or a search ended them
        early; never less than ``trial_sharpes`` has. Those without one are taken to vary as the estimate of a Sharpe
        ratio of 0 does, ``1 / (n - 1)``: many trials that nobody measured must not be free, and those that a search
        leaves are much alike. Nor must those that never traded be, whose ratios of 0 would only narrow the variance. It
        is not less than that of the ones that are known.

    Returns
    -------
    dict
        ``psr`` (probability that the Sharpe ratio exceeds 0), ``dsr`` (that it exceeds the luck of the best trial),
        ``trials``, ``expected_max_sharpe`` (that luck, annualised), ``min_track_record_days`` (to be 95 % sure of a
        Sharpe ratio above 0, at most :data:`NEVER_DAYS`). All finite.

    Raises
    ------
    InvalidFrame
        If no trial is counted, or returns or Sharpe ratios are not finite.
    """
    year = math.sqrt(DAYS_PER_YEAR)
    estimate = SharpeEstimate.of(daily_returns)
    known = Trials.of([sharpe / year for sharpe in trial_sharpes])
    count, by_chance = max(known.count, trials), 1 / (estimate.observations - 1)
    variance = known.variance if known.count > 1 else by_chance
    variance = max(variance, by_chance + (variance - by_chance) * known.count / count)
    if traded := [sharpe / year for sharpe in trial_sharpes if sharpe != 0]:
        variance = max(variance, Trials.of(traded).variance)
    tried = Trials(count, variance)
    return {
        "psr": probabilistic_sharpe_ratio(estimate),
        "dsr": deflated_sharpe_ratio(estimate, tried),
        "trials": float(tried.count),
        "expected_max_sharpe": tried.expected_max_sharpe * year,
        "min_track_record_days": min(min_track_record_length(estimate), NEVER_DAYS),
    }
