"""Probability of backtest overfitting: how often the best configuration of the past is below the median afterwards.

Combinatorially symmetric cross-validation (CSCV). The returns of all configurations are cut into an even number of
blocks of time; every half of the blocks is once the past (in sample), its complement the future (out of sample). Each
time the best configuration of the past is looked up among all of the future. Where that is no better than a draw,
choosing by backtest only fits noise.

Source: D. H. Bailey, J. M. Borwein, M. Lopez de Prado and Q. J. Zhu, "The Probability of Backtest Overfitting", 2015
(*Journal of Computational Finance* 20(4), 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.validation.performance import FLAT, finite

_WHERE: Final = "probability of backtest overfitting"

Array = npt.NDArray[np.float64]
Metric = Literal["sharpe", "mean"]


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What combinatorially symmetric cross-validation says of a choice among configurations.

    Attributes
    ----------
    configurations, blocks
        Between how many was chosen, and into how many blocks time was cut.
    logits
        For each half of the blocks ``ln(w / (1 - w))`` of the winner's relative rank ``w`` out of sample: above 0 it
        is better than the median.
    winners
        The column of the configuration that was best in each half.
    in_sample, out_of_sample
        The winner's performance in each half and in its complement; Sharpe ratios are per observation.
    """

    configurations: int
    blocks: int
    logits: Array
    winners: npt.NDArray[np.intp]
    in_sample: Array
    out_of_sample: Array

    @property
    def pbo(self) -> float:
        """The share of halves whose winner is not above the median out of sample, [0, 1].

        Around 0.5 where the choice is worth nothing. With an odd number N of configurations one of them is the median
        and counts as "not above", so it is ``(N + 1) / (2 N)`` then: 0.67 for three.
        """
        return float(np.mean(self.logits <= 0))

    @property
    def probability_of_loss(self) -> float:
        """The share of halves whose winner loses out of sample, [0, 1]."""
        return float(np.mean(self.out_of_sample < 0))

    @property
    def degradation(self) -> tuple[float, float]:
        """Slope and intercept of the winner's performance out of sample on that in sample (least squares).

        A slope of 1 and an intercept of 0 keep what was promised. The slope leans below 0 by construction: what a
        half has more of, its complement has less of. It is NaN where all winners were equally good.
        """
        spread = self.in_sample - self.in_sample.mean()
        if float(np.abs(spread).max()) < FLAT:
            return float("nan"), float("nan")
        slope = float(spread @ self.out_of_sample / (spread @ spread))
        return slope, float(self.out_of_sample.mean() - slope * self.in_sample.mean())


def cross_validate_choice(returns: npt.ArrayLike, *, blocks: int = 16, metric: Metric = "sharpe") -> Overfitting:
    """How well the choice of the best configuration holds out of sample.

    Memory is about ``8 C(blocks, blocks / 2) N`` bytes a few times over: 13 MB each for 16 blocks and 128
    configurations.

    Parameters
    ----------
    returns
        ``(T, N)``: returns of N configurations in the same T periods, oldest first. **All** that were tried belong
        here: leaving out the poor ones makes the rest look better than they are.
    blocks
        Even; blocks differ by at most one row where they do not divide T. The paper uses 16 (12,870 halves).
    metric
        What "best" means: ``sharpe`` (mean over standard deviation, n - 1; 0 for a flat series) or ``mean``.

    Raises
    ------
    InvalidFrame
        If a return is not finite, there are fewer than two configurations or fewer than two rows per block.
    SettingsError
        If ``blocks`` is not an even number from 2 to 20.
    """
    if blocks % 2 or not 2 <= blocks <= 20:
        raise SettingsError(f"{blocks} blocks", where=_WHERE, remedy="an even number from 2 to 20")
    matrix = finite(returns, "returns", dimensions=2)
    periods, configurations = matrix.shape
    if configurations < 2:
        raise InvalidFrame(
            f"{configurations} configuration leaves nothing to choose", where=_WHERE, remedy="pass every one tried"
        )
    if periods < 2 * blocks:
        raise InvalidFrame(
            f"{periods} periods are too few for {blocks} blocks", where=_WHERE, remedy="take fewer blocks"
        )
    performance = _performance_of_halves(matrix, blocks, metric)
    # Halves are in lexicographic order, so the complement of the first is the last, and so on.
    complement = performance[::-1]
    every = np.arange(len(performance))
    winner = performance.argmax(axis=1)
    won, held = performance[every, winner], complement[every, winner]
    # The rank among equals is their average, as where configurations trade alike.
    below = (complement < held[:, None]).sum(axis=1)
    equal = (complement == held[:, None]).sum(axis=1)
    rank = (below + (equal + 1) / 2) / (configurations + 1)
    return Overfitting(configurations, blocks, np.log(rank / (1 - rank)), winner, won, held)


def _performance_of_halves(matrix: Array, blocks: int, metric: Metric) -> Array:
    """``(C(blocks, blocks / 2), N)``: each configuration in each half of the blocks, from sums per block."""
    edges = np.arange(blocks + 1) * len(matrix) // blocks
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    member = np.zeros((len(chosen), blocks))
    np.put_along_axis(member, chosen, 1.0, axis=1)
    centre = matrix.mean(axis=0)
    spread = matrix - centre  # so that the squares lose no digits
    count = member @ np.diff(edges)[:, None]
    total = member @ np.add.reduceat(spread, edges[:-1], axis=0)
    mean = centre + total / count
    if metric == "mean":
        return np.asarray(mean)
    squares = member @ np.add.reduceat(spread**2, edges[:-1], axis=0)
    deviation = np.sqrt(np.maximum(squares - total**2 / count, 0.0) / (count - 1))
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation >= FLAT)
