"""Published worked examples beside what this code gives: ``python -m trading_assets.validation.worked_examples``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trading_assets.validation.sharpe import (
    SharpeEstimate,
    Trials,
    deflated_sharpe_ratio,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)

_2012: Final = "Bailey and Lopez de Prado 2012"
_2014: Final = "Bailey and Lopez de Prado 2014"


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
