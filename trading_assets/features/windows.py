"""Rolling windows and filters with a finite memory, reproducible to the last bit.

Every function looks at a fixed number of bars and combines them in an order that depends on the window alone: a value
over 2m bars is that over the newest m joined with that over the m before. Nothing runs along the frame, so there is no
running sum to drift and no seed to remember, and any two frames that hold the window give the same value. Where the
window is not complete, the value is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NEGLIGIBLE: Final = 1e-15
"""The weight at which the memory of an exponential filter is cut off."""


def shift(values: Array, bars: int) -> Array:
    """``values`` from ``bars`` earlier."""
    moved = np.empty_like(values)
    moved[:bars] = np.nan
    moved[bars:] = values[: max(len(values) - bars, 0)]
    return moved


def ratio(numerator: Array, denominator: Array, otherwise: float) -> Array:
    """``numerator / denominator``, and ``otherwise`` where the denominator is zero."""
    return np.where(denominator == 0, otherwise, numerator / denominator)


def rolling_sum(values: Array, window: int) -> Array:
    """The sum over the last ``window`` bars."""
    return _fold(values, window, lambda newer, _, older, __: newer + older)


def rolling_mean(values: Array, window: int) -> Array:
    """The mean over the last ``window`` bars."""
    return rolling_sum(values, window) / window


def rolling_max(values: Array, window: int) -> Array:
    """The maximum over the last ``window`` bars."""
    return _fold(values, window, lambda newer, _, older, __: np.maximum(newer, older))


def rolling_min(values: Array, window: int) -> Array:
    """The minimum over the last ``window`` bars."""
    return _fold(values, window, lambda newer, _, older, __: np.minimum(newer, older))


def bars_since_max(values: Array, window: int) -> Array:
    """How many bars ago the maximum of the last ``window`` bars was; the newest of equals."""

    def join(newer: Array, bars: int, older: Array, _: int) -> Array:
        later = newer[0] >= older[0]
        best = np.where(later, newer[0], older[0])
        age = np.where(later, newer[1], older[1] + bars)
        return np.stack([best, age])

    age = _fold(np.stack([values, np.zeros_like(values)]), window, join)[1]
    return age


def ewma_memory(alpha: float, negligible: float = NEGLIGIBLE) -> int:
    """After how many bars the weight of an exponential filter falls below ``negligible``."""
    return math.ceil(math.log(negligible) / math.log1p(-alpha))


def ewma(values: Array, alpha: float, memory: int | None = None) -> Array:
    """Exponentially weighted mean of the last ``memory`` bars (default: until the weights are negligible).

    The textbook filter has an infinite memory and a seed; this one is its normalised part within ``memory``.
    """
    memory = memory or ewma_memory(alpha)
    decay = 1 - alpha
    total = _fold(values, memory, lambda newer, bars, older, _: newer + decay**bars * older)
    return total * (alpha / (1 - decay**memory))


def rolling_var(values: Array, window: int) -> Array:
    """The population variance over the last ``window`` bars; exactly 0 where they are equal."""
    return rolling_cov(values, values, window)


def rolling_cov(first: Array, second: Array, window: int) -> Array:
    """The population covariance over the last ``window`` bars (Chan, Golub & LeVeque 1983, pairwise)."""

    def join(newer: Array, bars: int, older: Array, more: int) -> Array:
        share = more / (bars + more)
        gap = older[:2] - newer[:2]
        mean = newer[:2] + gap * share
        product = newer[2] + older[2] + gap[0] * gap[1] * (bars * share)
        return np.concatenate([mean, product[None]])

    return _fold(np.stack([first, second, np.zeros_like(first)]), window, join)[2] / window


def rolling_corr(first: Array, second: Array, window: int) -> Array:
    """Pearson's correlation over the last ``window`` bars; 0 where one of them does not vary."""
    scale = np.sqrt(rolling_var(first, window) * rolling_var(second, window))
    return np.clip(ratio(rolling_cov(first, second, window), scale, 0.0), -1, 1)


def rolling_line(values: Array, window: int) -> tuple[Array, Array]:
    """Slope per bar and R2 of the least-squares line through the last ``window`` bars; both 0 where they are equal."""

    def join(newer: Array, bars: int, older: Array, more: int) -> Array:
        gap = older[0] - newer[0]
        mean = newer[0] + gap * (more / (bars + more))
        covariance = newer[1] + older[1] - gap * (bars * more / 2)
        return np.stack([mean, covariance])

    covariance = _fold(np.stack([values, np.zeros_like(values)]), window, join)[1]
    time = window * (window * window - 1) / 12
    r2 = ratio(covariance**2, time * window * rolling_var(values, window), 0.0)
    return covariance / time, np.minimum(r2, 1)


def rolling_share_below(values: Array, window: int, every: int = 1) -> Array:
    """The share of the values ``every``, 2 ``every``, ... up to ``window`` bars ago that were below the present one."""
    below = np.zeros_like(values)
    ages = range(every, window + 1, every)
    for age in ages:
        below += shift(values, age) < values
    return np.where(np.isnan(shift(values, ages[-1])), np.nan, below / len(ages))


def mean_absolute_deviation(values: Array, mean: Array, window: int) -> Array:
    """The mean distance of the last ``window`` values from ``mean``."""
    total = np.abs(values - mean)
    for age in range(1, window):
        total += np.abs(shift(values, age) - mean)
    return total / window


type Join = Callable[[Array, int, Array, int], Array]


def _fold(state: Array, window: int, join: Join) -> Array:
    """Fold the last ``window`` bars by doubling.

    ``join(newer, bars, older, more)`` gets the state over the newest ``bars`` bars and that over the ``more`` bars
    before them. The last axis of the state is time.
    """
    total: Array | None = None
    covered, size = 0, 1
    while True:
        if window & size:
            total = state if total is None else join(total, covered, _earlier(state, covered), size)
            covered += size
        if covered == window:
            assert total is not None
            return total
        state = join(state, size, _earlier(state, size), size)
        size *= 2


def _earlier(state: Array, bars: int) -> Array:
    if state.ndim == 1:
        return shift(state, bars)
    moved = np.empty_like(state)
    moved[:, :bars] = np.nan
    moved[:, bars:] = state[:, : max(state.shape[1] - bars, 0)]
    return moved
