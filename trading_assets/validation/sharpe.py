"""What a Sharpe ratio is worth: its error, the track record that it needs, and the luck of having tried often.

All Sharpe ratios here are per observation (daily returns: daily Sharpe ratios), never annualised: divide an annualised
one by the root of the observations per year.

Sources:

- PSR, MinTRL: D. H. Bailey and M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", *Journal of Risk* 15(2), 2012.
- DSR: D. H. Bailey and M. Lopez de Prado, "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
  Overfitting and Non-Normality", *Journal of Portfolio Management* 40(5), 2014.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import InvalidFrame
from trading_assets.validation.performance import FLAT, finite

EULER_GAMMA: Final = 0.5772156649015329
"""The Euler-Mascheroni constant."""

_NORMAL: Final = NormalDist()

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SharpeEstimate:
    """A measured Sharpe ratio with what its error depends on.

    Attributes
    ----------
    sharpe
        Mean over standard deviation (n - 1) of the returns, per observation.
    observations
        How many returns, at least 2.
    skewness
        Third standardised moment; 0 for a normal distribution.
    kurtosis
        Fourth standardised moment, **not** the excess; 3 for a normal distribution.

    Raises
    ------
    InvalidFrame
        If a number is not finite, there are fewer than two observations, or no distribution has these moments.
    """

    sharpe: float
    observations: int
    skewness: float = 0.0
    kurtosis: float = 3.0

    def __post_init__(self) -> None:
        if self.observations < 2:
            raise InvalidFrame(f"{self.observations} returns have no Sharpe ratio", where="Sharpe estimate")
        if not all(map(math.isfinite, (self.sharpe, self.skewness, self.kurtosis))):
            raise InvalidFrame(f"moments are not finite: {self}", where="Sharpe estimate")
        if self.kurtosis < (1 + self.skewness**2) * (1 - 1e-9):  # Pearson's inequality; the margin is for rounding
            raise InvalidFrame(
                f"no distribution has skewness {self.skewness:g} and kurtosis {self.kurtosis:g}",
                where="Sharpe estimate",
                remedy="give the kurtosis itself (3 for a normal distribution), not the excess",
            )

    @classmethod
    def of(cls, returns: npt.ArrayLike) -> Self:
        """Measure a series of returns.

        Skewness and kurtosis are the moments of the sample (divided by n). Returns that are all 0, as of a strategy
        that never traded, have a Sharpe ratio of 0.

        Raises
        ------
        InvalidFrame
            If a return is not finite, there are fewer than two, or they are all the same but not 0.
        """
        values = finite(returns, "returns", dimensions=1)
        if values.size < 2:
            raise InvalidFrame(f"{values.size} returns have no Sharpe ratio", where="Sharpe estimate")
        mean, spread = float(values.mean()), float(values.std(ddof=1))
        if spread < FLAT:
            if abs(mean) >= FLAT:
                raise InvalidFrame(f"all {values.size} returns are {mean:g}: no Sharpe ratio", where="Sharpe estimate")
            return cls(0.0, values.size)
        standard = (values - mean) / values.std()
        return cls(mean / spread, values.size, float(np.mean(standard**3)), float(np.mean(standard**4)))

    @property
    def standard_error(self) -> float:
        """Of the Sharpe ratio: ``sqrt((1 - skew SR + (kurt - 1) / 4 SR^2) / (n - 1))`` (2012)."""
        return math.sqrt(self._variance / (self.observations - 1))

    @property
    def _variance(self) -> float:
        """Of one observation's contribution; never negative for the moments of a distribution."""
        return max(0.0, 1 - self.skewness * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2)


@dataclass(frozen=True, slots=True)
class Trials:
    """Everything that was tried before the strategy at hand was chosen, itself included.

    Attributes
    ----------
    count
        How many trials; may be a fraction where it is a number of independent ones (:func:`independent_trials`).
    variance
        Of the trials' Sharpe ratios, per observation (squared).
    """

    count: float
    variance: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.count) and self.count >= 1):
            raise InvalidFrame(f"{self.count} trials: the strategy itself is one", where="trials")
        if not (math.isfinite(self.variance) and self.variance >= 0):
            raise InvalidFrame(f"the variance of the trials' Sharpe ratios is {self.variance}", where="trials")

    @classmethod
    def of(cls, sharpes: Sequence[float]) -> Self:
        """From the Sharpe ratios, per observation, of all trials; one trial alone has no variance.

        Raises
        ------
        InvalidFrame
            If there are none, or one is not finite.
        """
        values = finite(sharpes, "Sharpe ratios of the trials", dimensions=1)
        if not values.size:
            raise InvalidFrame(
                "no trial is counted", where="trials", remedy="count every run that the registry knows; never fewer"
            )
        return cls(values.size, float(values.var(ddof=1)) if values.size > 1 else 0.0)

    @property
    def expected_max_sharpe(self) -> float:
        """The Sharpe ratio that the best of these trials has on average where none has any skill."""
        return expected_max_sharpe(self.count, self.variance)


def probabilistic_sharpe_ratio(estimate: SharpeEstimate, benchmark: float = 0.0) -> float:
    """The probability that the true Sharpe ratio exceeds a benchmark.

    ``PSR = Phi((SR - SR*) / standard error)`` (2012).

    Parameters
    ----------
    estimate
        What was measured.
    benchmark
        ``SR*``, per observation.

    Returns
    -------
    float
        [0, 1].
    """
    excess, error = estimate.sharpe - benchmark, estimate.standard_error
    if error == 0:  # a distribution of two points can have none
        return 0.5 if excess == 0 else float(excess > 0)
    return _NORMAL.cdf(excess / error)


def min_track_record_length(estimate: SharpeEstimate, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """How many observations it takes to be confident that the true Sharpe ratio exceeds a benchmark.

    ``MinTRL = 1 + (1 - skew SR + (kurt - 1) / 4 SR^2) (z / (SR - SR*))^2`` (2012).

    Parameters
    ----------
    estimate
        What was measured; the number of its observations does not matter.
    benchmark
        ``SR*``, per observation.
    confidence
        Between 0.5 and 1, e.g. 0.95.

    Returns
    -------
    float
        Observations, not rounded; infinite where the measured Sharpe ratio does not exceed the benchmark.
    """
    if not 0.5 <= confidence < 1:
        raise InvalidFrame(f"a confidence of {confidence} is not in [0.5, 1)", where="minimum track record length")
    excess = estimate.sharpe - benchmark
    if excess <= 0:
        return math.inf
    return 1 + estimate._variance * (_NORMAL.inv_cdf(confidence) / excess) ** 2


def expected_max_sharpe(trials: float, variance: float) -> float:
    """The highest Sharpe ratio to expect of trials without skill.

    ``sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)))`` with the Euler-Mascheroni constant ``g`` (2014).
    Against the exact expectation of independent normal trials this is 8 % low for two, up to 2.6 % high for three to
    ten, and closer with more. One trial has nothing to choose from: 0.

    Parameters
    ----------
    trials
        N, the number of independent trials, at least 1.
    variance
        V, of the trials' Sharpe ratios, per observation (squared).
    """
    if trials <= 1 or variance == 0:
        return 0.0
    likely, extreme = (_NORMAL.inv_cdf(1 - 1 / count) for count in (trials, trials * math.e))
    return math.sqrt(variance) * ((1 - EULER_GAMMA) * likely + EULER_GAMMA * extreme)


def deflated_sharpe_ratio(estimate: SharpeEstimate, trials: Trials) -> float:
    """The probability that the true Sharpe ratio exceeds what the luckiest of all trials would have without skill.

    The probabilistic Sharpe ratio against :func:`expected_max_sharpe` (2014).

    Parameters
    ----------
    estimate
        Of the strategy that was chosen.
    trials
        All that it was chosen from.

    Returns
    -------
    float
        [0, 1]; the paper asks for 0.95.
    """
    return probabilistic_sharpe_ratio(estimate, trials.expected_max_sharpe)


def independent_trials(trials: int, correlation: float) -> float:
    """How many independent trials correlated ones are worth: ``rho + (1 - rho) M`` (2014, appendix).

    Parameters
    ----------
    trials
        M, the number of trials.
    correlation
        Average correlation of their returns, [0, 1].
    """
    if trials < 1 or not 0 <= correlation <= 1:
        raise InvalidFrame(f"{trials} trials with an average correlation of {correlation}", where="trials")
    return correlation + (1 - correlation) * trials
