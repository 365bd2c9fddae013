"""Rolling windows and filters with a finite memory, reproducible to the last bit.

Every function looks at a fixed number of bars and combines them in an order that depends on the window alone: a value
over 2m bars is that over the newest m joined with that over the m before. Nothing runs along the frame, so there is no
running sum to drift and no seed to remember, and any two frames that hold the window give the same value. Where the
window is not complete, the value is NaN.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NEGLIGIBLE: Final = 1e-15
"""The weight at which the memory of an exponential filter is cut off."""

_ROUNDING: Final = 1e-12
"""A difference of sums that is smaller than this share of them is rounding."""


_series = partial(np.ascontiguousarray, dtype=np.float64)
"""An array as the compiled loops take it: a user's feature may pass integers, or every second bar."""


def _called(loop: Callable[..., Array], *arguments: Array | float) -> Array:
    """A compiled loop's result; the arrays are looked at where it does not take them: most calls need no look."""
    try:
        return loop(*arguments)
    except TypeError:
        return loop(*(_series(one) if isinstance(one, np.ndarray) else one for one in arguments))


def _checked(window: int) -> int:
    if window < 1:
        raise ValueError(f"a window of {window} bars: give at least 1")
    return window


def shift(values: Array, bars: int) -> Array:
    """``values`` from ``bars`` earlier.

    Raises
    ------
    ValueError
        ``bars`` is negative: values of later bars.
    """
    if bars < 0:
        raise ValueError(f"shift by {bars} bars looks ahead: give the bars to look back")
    return _called(kernels().shift, values, bars)


def ratio(numerator: Array, denominator: Array, otherwise: float) -> Array:
    """``numerator / denominator``, and ``otherwise`` where the denominator is zero."""
    return _called(kernels().ratio, numerator, denominator, otherwise)


def rolling_sum(values: Array, window: int) -> Array:
    """The sum over the last ``window`` bars."""
    return _fold_one(kernels().SUM, values, window)


def rolling_mean(values: Array, window: int) -> Array:
    """The mean over the last ``window`` bars."""
    mean = rolling_sum(values, window)
    mean /= window
    return mean


def rolling_max(values: Array, window: int) -> Array:
    """The maximum over the last ``window`` bars."""
    return _fold_one(kernels().MAX, values, window)


def rolling_min(values: Array, window: int) -> Array:
    """The minimum over the last ``window`` bars."""
    return _fold_one(kernels().MIN, values, window)


def bars_since_max(values: Array, window: int) -> Array:
    """How many bars ago the maximum of the last ``window`` bars was; the newest of equals."""
    _, age = _fold(kernels().SINCE_MAX, values, window, parts=2)
    return age


def ewma_memory(alpha: float, negligible: float = NEGLIGIBLE) -> int:
    """After how many bars the weight of an exponential filter is below ``negligible``: a power of two."""
    return 1 << math.ceil(math.log2(math.log(negligible) / math.log1p(-alpha)))


def ewma(values: Array, alpha: float, memory: int | None = None) -> Array:
    """Exponentially weighted mean of the last ``memory`` bars (default: until the weights are negligible).

    The textbook filter has an infinite memory and a seed; this one is its normalised part within ``memory``.
    """
    memory = memory or ewma_memory(alpha)
    decay = 1 - alpha
    total = _fold_one(kernels().DECAYING, values, memory, decay)
    total *= alpha / (1 - decay**memory)
    return total


def rolling_var(values: Array, window: int) -> Array:
    """The population variance over the last ``window`` bars; exactly 0 where they are equal."""
    return rolling_mean_var(values, window)[1]


def rolling_mean_var(values: Array, window: int) -> tuple[Array, Array]:
    """Mean and population variance over the last ``window`` bars; exactly the value and 0 where they are equal.

    Pairwise (Chan, Golub & LeVeque 1983): no difference of large sums.
    """
    mean, squares = _fold(kernels().MEAN_VAR, values, window, parts=2)
    return mean, squares / window


def variance_from_sums(total: Array, squares: Array, window: int) -> Array:
    """The population variance from a window's sum and sum of squares; 0 where it is a rounding error of the squares.

    For series whose deviations are not small against their mean, such as returns and volumes; prices need
    :func:`rolling_var`.
    """
    return _called(kernels().variance, total, squares, window, _ROUNDING)


def linear_mean(values: Array, window: int) -> Array:
    """The mean over the last ``window`` bars with weights that fall linearly into the past."""
    total, aged = _fold(kernels().AGED, values, window, parts=2)
    mean: Array = (window * total - aged) * (2 / (window * (window + 1)))
    return mean


def adaptive_mean(values: Array, smoothing: Array, memory: int) -> Array:
    """An exponential mean whose smoothing differs from bar to bar, begun at the value ``memory`` bars ago."""
    kept, added = _fold(kernels().ADAPTIVE, np.stack([1 - smoothing, smoothing * values]), memory, parts=2)
    return np.asarray(added + kept * shift(values, memory))


def newest(values: Array, valid: npt.NDArray[np.bool_], window: int, otherwise: Array) -> tuple[Array, Array]:
    """The newest valid value of the last ``window`` bars, and its age in bars.

    Where there is none, the present one of ``otherwise``, as if it had happened ``window`` bars ago.
    """
    value, age = kernels().newest(_series(values), np.ascontiguousarray(valid), _checked(window), _series(otherwise))
    return value, age


def sum_since(values: Array, starts: npt.NDArray[np.bool_], window: int) -> Array:
    """The sum from the last start on, that bar included; over the whole ``window`` where it holds none."""
    total, _ = _fold(kernels().SINCE_START, np.stack([values, starts.astype(np.float64)]), window, parts=2)
    return total


def largest_ways(values: Array, window: int) -> tuple[Array, Array]:
    """The largest fall and the largest rise from a value to a later one within the last ``window`` bars."""
    _, _, fall, rise = _fold(kernels().WAYS, np.stack([values, values]), window, parts=4)
    return fall, rise


def rolling_sum_by_count(codes: Array, classes: int, window: int, parts: Array) -> Array:
    """The sum over the classes of ``parts[count]``: of how many of the last ``window`` bars have each code (0, 1, ...).

    The counts of all classes are summed at once, as the digits of one number.
    """
    bits = window.bit_length()
    if bits * classes > 52:
        raise ValueError(f"{classes} classes of {window} bars do not fit into one number")
    return _called(kernels().digits, rolling_sum(np.exp2(bits * codes), window), parts, bits, classes)


def rolling_line(values: Array, window: int) -> tuple[Array, Array]:
    """Slope per bar and R2 of the least-squares line through the last ``window`` bars; both 0 where they are equal."""
    _, variance, covariance = _fold(kernels().LINE, values, window, parts=3)
    time = window * (window * window - 1) / 12
    r2 = ratio(covariance**2, time * variance, 0.0)
    return covariance / time, np.minimum(r2, 1)


def rolling_share_below(values: Array, window: int, every: int) -> Array:
    """The share of the values ``every``, 2 ``every``, ... ``window`` bars ago that were below the present one."""
    return _called(kernels().share_below, values, _checked(window), _checked(every))


def mean_absolute_deviation(values: Array, mean: Array, window: int) -> Array:
    """The mean distance of the last ``window`` values from ``mean``."""
    return _called(kernels().deviation, values, mean, _checked(window))


def _fold_one(kind: int, values: Array, window: int, factor: float = 0.0) -> Array:
    """The last ``window`` bars folded into states of one row; a :mod:`framework.kernels` kind."""
    return _called(kernels().fold_one, kind, values, _checked(window), factor)


def _fold(kind: int, values: Array, window: int, *, parts: int) -> Iterator[Array]:
    """The last ``window`` bars folded into states of ``parts`` rows, of which ``values`` are the first."""
    series = values if values.ndim > 1 else values[None]
    return iter(_called(kernels().fold, kind, series, parts, _checked(window), 0.0))


@cache
def kernels() -> ModuleType:
    """The compiled loops, when first needed: numba takes longer to import than all features."""
    return importlib.import_module("trading_assets.features.framework.kernels")
