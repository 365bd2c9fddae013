"""Published worked examples beside what this code gives: ``python -m trading_assets.validation.worked_examples``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.validation.overfitting import Overfitting, cross_validate_choice
from trading_assets.validation.sharpe import (
    SharpeEstimate,
    Trials,
    deflated_sharpe_ratio,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)

_2012: Final = "Bailey and Lopez de Prado 2012"
_2014: Final = "Bailey and Lopez de Prado 2014"
_PBO: Final = "vignette of the R package pbo 1.3.5"


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """One number that a paper prints.

    Attributes
    ----------
    name
        What it is, with its inputs.
    source
        The paper.
    published
        The number as printed.
    decimals
        How many of its decimals are printed.
    compute
        The same from this code.
    """

    name: str
    source: str
    published: float
    decimals: int
    compute: Callable[[], float]


def _years(periods: int, skewness: float = 0.0, kurtosis: float = 3.0) -> float:
    """MinTRL in years for an annual Sharpe ratio of 2 against 1 at 95 %."""
    estimate = SharpeEstimate(2 / math.sqrt(periods), periods, skewness, kurtosis)
    return min_track_record_length(estimate, 1 / math.sqrt(periods)) / periods


_FUND: Final = SharpeEstimate(0.458, 24, -2.448, 10.164)
_STRATEGY: Final = SharpeEstimate(2.5 / math.sqrt(250), 1250, -3, 10)
_NORMAL_STRATEGY: Final = SharpeEstimate(2.5 / math.sqrt(250), 1250)


def _trials(count: int) -> Trials:
    return Trials(count, 0.5 / 250)


def r_normal(seed: int, count: int) -> npt.NDArray[np.float64]:
    """R's ``set.seed(seed); rnorm(count)``: Mersenne twister, inverted normal distribution (``?Random``)."""
    from scipy.special import ndtri

    words = [seed]
    for _ in range(50 + 1 + 624):  # R scrambles the seed 50 times; then the place in the state, then the state
        words.append((69069 * words[-1] + 1) % 2**32)
    twister = np.random.MT19937()
    key = np.array(words[-624:], dtype=np.uint32)
    twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}
    uniform = twister.random_raw(2 * count) * 2.3283064365386963e-10
    return np.asarray(ndtri((np.floor(2**27 * uniform[::2]) + uniform[1::2]) / 2**27))


@cache
def _vignette() -> Overfitting:
    """A hundred trials of noise over 2,400 days, all rescaled to the same mean of 0, in 8 blocks."""
    noise = r_normal(765, 100 * 2400).reshape(100, 2400).T
    noise = noise / noise.std(axis=0, ddof=1) / math.sqrt(252)
    return cross_validate_choice(noise - noise.mean(axis=0) - 0.03 / 252, blocks=8)


def _promised() -> tuple[float, float]:
    """Intercept and adjusted R2 of the winners' performance in sample on that out of sample (least squares)."""
    found = _vignette()
    slope, intercept = np.polyfit(found.out_of_sample, found.in_sample, 1)
    missed = found.in_sample - intercept - slope * found.out_of_sample
    free = (len(missed) - 1) / (len(missed) - 2)
    return float(intercept), float(1 - free * missed.var() / found.in_sample.var())


EXAMPLES: Final = (
    WorkedExample(
        "PSR(0), 24 months, SR 0.458, taken as normal",
        _2012,
        0.982,
        3,
        lambda: probabilistic_sharpe_ratio(SharpeEstimate(0.458, 24)),
    ),
    WorkedExample(
        "PSR(0), the same with skewness -2.448, kurtosis 10.164",
        _2012,
        0.913,
        3,
        lambda: probabilistic_sharpe_ratio(_FUND),
    ),
    WorkedExample("MinTRL in years, annual SR 2 against 1, daily", _2012, 2.73, 2, lambda: _years(252)),
    WorkedExample("MinTRL in years, the same, weekly", _2012, 2.83, 2, lambda: _years(52)),
    WorkedExample("MinTRL in years, the same, monthly", _2012, 3.24, 2, lambda: _years(12)),
    WorkedExample(
        "MinTRL in years, monthly, skewness -0.72, kurtosis 5.78", _2012, 4.99, 2, lambda: _years(12, -0.72, 5.78)
    ),
    WorkedExample(
        "Expected maximum SR per day of 100 trials, annual variance 1/2",
        _2014,
        0.1132,
        4,
        lambda: _trials(100).expected_max_sharpe,
    ),
    WorkedExample(
        "DSR, annual SR 2.5, 1,250 days, skewness -3, kurtosis 10, 100 trials",
        _2014,
        0.9004,
        4,
        lambda: deflated_sharpe_ratio(_STRATEGY, _trials(100)),
    ),
    WorkedExample(
        "DSR, the same after 46 trials", _2014, 0.9505, 4, lambda: deflated_sharpe_ratio(_STRATEGY, _trials(46))
    ),
    WorkedExample(
        "DSR, normal returns, 88 trials", _2014, 0.9505, 4, lambda: deflated_sharpe_ratio(_NORMAL_STRATEGY, _trials(88))
    ),
    WorkedExample(
        "PBO, 100 trials of noise with the same mean, 2,400 days, 8 blocks", _PBO, 1, 7, lambda: _vignette().pbo
    ),
    WorkedExample("Probability of loss, the same", _PBO, 1, 7, lambda: _vignette().probability_of_loss),
    WorkedExample("Intercept of in sample on out of sample, the same", _PBO, -0.0030456, 7, lambda: _promised()[0]),
    WorkedExample("Adjusted R2 of that line", _PBO, 0.97, 2, lambda: _promised()[1]),
)


def table() -> str:
    """The examples as a Markdown table."""
    lines = ["| example | source | published | here |", "|---|---|---|---|"]
    for example in EXAMPLES:
        digits = example.decimals
        here = example.compute()
        lines.append(f"| {example.name} | {example.source} | {example.published:.{digits}f} | {here:.{digits}f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
