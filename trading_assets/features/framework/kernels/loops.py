"""The compiled loops that are no folds: ratios, variances, counts, newest swings, SuperTrend's bands."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

type Array = npt.NDArray[np.float64]

_SERIES: Final = nb.types.Array(nb.float64, 1, "C", readonly=True)
_FLAGS: Final = nb.types.Array(nb.boolean, 1, "C", readonly=True)
_STATES: Final = nb.float64[:, ::1]

_inlined = nb.njit(inline="always")


@_inlined
def _copy(out: Array, values: Array) -> None:
    for j in range(len(out)):
        out[j] = values[j]


@nb.njit(nb.float64[::1](_SERIES, nb.int64), cache=True, nogil=True)
def shift(values: Array, bars: int) -> Array:
    """``values`` from ``bars`` earlier; NaN before."""
    result = np.empty(len(values))
    missing = min(bars, len(values))
    result[:missing] = np.nan
    _copy(result[missing:], values[: len(values) - missing])
    return result


@nb.njit(nb.float64[::1](_SERIES, _SERIES, nb.float64), cache=True, nogil=True, error_model="numpy")
def ratio(numerator: Array, denominator: Array, otherwise: float) -> Array:
    """One over the other, and ``otherwise`` where the denominator is zero."""
    if len(denominator) != len(numerator):
        raise ValueError("a ratio of series of different lengths")
    result = np.empty(len(numerator))
    for j in range(len(result)):
        result[j] = otherwise if denominator[j] == 0 else numerator[j] / denominator[j]
    return result


@nb.njit(nb.float64[::1](_SERIES, _SERIES, nb.int64, nb.float64), cache=True, nogil=True, error_model="numpy")
def variance(total: Array, squares: Array, window: int, rounding: float) -> Array:
    """From a window's sum and sum of squares; 0 where it is no more than this share of the mean square."""
    if len(squares) != len(total):
        raise ValueError("sums and squares of different lengths")
    result = np.empty(len(total))
    for j in range(len(result)):
        mean, square = total[j] / window, squares[j] / window
        spread = square - mean * mean
        result[j] = 0.0 if spread <= rounding * square else spread
    return result


_BLOCK: Final = 512
"""Bars that are taken together where each needs many others: few enough for the processor's nearest cache."""


@nb.njit(nb.float64[::1](_SERIES, nb.int64, nb.int64), cache=True, nogil=True, error_model="numpy")
def share_below(values: Array, window: int, every: int) -> Array:
    """The share of the values ``every``, 2 ``every``, ... ``window`` bars ago that are below each."""
    rows, samples = len(values) - window, window // every
    result = np.full(len(values), np.nan)
    for begin in range(0, rows, _BLOCK):
        end = min(begin + _BLOCK, rows)
        now, share = values[begin + window : end + window], result[begin + window : end + window]
        share[:] = 0
        for age in range(every, window + 1, every):
            earlier = values[begin + window - age : end + window - age]
            for j in range(len(share)):
                share[j] += 1.0 if earlier[j] < now[j] else 0.0
        for j in range(len(share)):
            share[j] = np.nan if np.isnan(values[begin + j]) else share[j] / samples
    return result


@nb.njit(nb.float64[::1](_SERIES, _SERIES, nb.int64), cache=True, nogil=True, error_model="numpy")
def deviation(values: Array, mean: Array, window: int) -> Array:
    """The mean distance of the last ``window`` values from ``mean``."""
    if len(mean) != len(values):
        raise ValueError("values and means of different lengths")
    lead = window - 1
    result = np.full(len(values), np.nan)
    total = result[lead:]
    total[:] = 0
    for age in range(window):
        aged, centre = values[lead - age : len(values) - age], mean[lead:]
        for j in range(len(total)):
            total[j] += abs(aged[j] - centre[j])
    for j in range(len(total)):
        total[j] /= window
    return result


@nb.njit(nb.float64[::1](_SERIES, _SERIES, nb.int64, nb.int64), cache=True, nogil=True)
def digits(packed: Array, parts: Array, bits: int, classes: int) -> Array:
    """The sum of ``parts[digit]`` over the digits of ``bits`` bits of each number; NaN where that is."""
    result = np.empty(len(packed))
    for j in range(len(result)):
        total = 0.0 * packed[j]
        if total == 0:
            whole = np.int64(packed[j])
            for _ in range(classes):
                digit = whole & ((1 << bits) - 1)
                if digit >= len(parts):
                    raise ValueError("a code is not one of 0, 1, ... classes - 1")
                total += parts[digit]
                whole >>= bits
        result[j] = total
    return result


@nb.njit(_STATES(_SERIES, _FLAGS, nb.int64, _SERIES), cache=True, nogil=True)
def newest(values: Array, valid: npt.NDArray[np.bool_], window: int, otherwise: Array) -> Array:
    """The newest valid value of the last ``window`` and its age; ``otherwise``, aged ``window``, without one."""
    if not len(values) == len(valid) == len(otherwise):
        raise ValueError("values, their validity and what else to take are of different lengths")
    result = np.empty((2, len(values)))
    last = -window
    for j in range(len(values)):
        last = j if valid[j] else last
        found = j - last < window
        result[0, j] = values[last] if found else otherwise[j]
        result[1, j] = min(j - last, window)
    return result


@_inlined
def _fall(band: Array, close: Array, basic: Array) -> None:
    for j in range(len(band)):
        band[j] = basic[j] if (close[j] > band[j]) | (basic[j] < band[j]) else band[j]


@_inlined
def _rise(band: Array, close: Array, basic: Array) -> None:
    for j in range(len(band)):
        band[j] = basic[j] if (close[j] < band[j]) | (basic[j] > band[j]) else band[j]


@_inlined
def _turn(rising: Array, close: Array, upper: Array, lower: Array) -> None:
    for j in range(len(rising)):
        held = 0.0 if close[j] < lower[j] else rising[j]
        rising[j] = 1.0 if close[j] > upper[j] else held


@nb.njit(_STATES(_SERIES, _SERIES, _SERIES, nb.int64), cache=True, nogil=True)
def bands(close: Array, middle: Array, reach: Array, memory: int) -> Array:
    """The band that the price follows, begun ``memory`` bars ago, and 1 where that is the lower one, 0 the upper one.

    A band lies ``reach`` from the ``middle`` and only moves towards the price until a close crosses it.
    """
    rows = len(close)
    result = np.empty((2, rows))
    result[:, : min(memory - 1, rows)] = np.nan
    above, below = middle + reach, middle - reach
    for begin in range(0, rows - memory + 1, _BLOCK):
        end = min(begin + _BLOCK, rows - memory + 1)
        upper, lower = above[begin:end].copy(), below[begin:end].copy()
        rising = np.empty(end - begin)
        for j in range(len(rising)):
            rising[j] = 1.0 if close[begin + j] >= middle[begin + j] else 0.0
        for step in range(1, memory):
            first, last = begin + step, end + step
            _fall(upper, close[first - 1 : last - 1], above[first:last])
            _rise(lower, close[first - 1 : last - 1], below[first:last])
            _turn(rising, close[first:last], upper, lower)
        for j in range(len(rising)):
            result[0, begin + memory - 1 + j] = lower[j] if rising[j] else upper[j]
        _copy(result[1, begin + memory - 1 : end + memory - 1], rising)
    return result
