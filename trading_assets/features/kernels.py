"""The compiled loops of the features; importing this loads numba: :func:`trading_assets.features.windows.kernels`.

A fold combines the bars of each window by doubling: the state over 2m bars is that over the newest m joined with that
over the m before. Levels alternate between buffers, so that the processor can take several bars at a time. No
reordering by the compiler (``fastmath``): each value has one order of operations, given by its window alone.
"""

from __future__ import annotations

import math
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

type Array = npt.NDArray[np.float64]

SUM: Final = 0
MAX: Final = 1
MIN: Final = 2
DECAYING: Final = 3
SINCE_MAX: Final = 4
AGED: Final = 5
ADAPTIVE: Final = 6
SINCE_START: Final = 7
WAYS: Final = 8
MEAN_VAR: Final = 9
LINE: Final = 10

_AT_ONCE: Final = 4_096
"""Windows that are folded together: few enough for the processor's cache."""

_inlined = nb.njit(inline="always")

_SERIES = nb.types.Array(nb.float64, 1, "C", readonly=True)
_SEVERAL = nb.types.Array(nb.float64, 2, "C", readonly=True)
_STATES = nb.float64[:, ::1]


@_inlined
def _larger(one: float, other: float) -> float:
    """The larger value, or NaN where either is; without a branch."""
    return one if (one >= other) | (one != one) else other


@_inlined
def _smaller(one: float, other: float) -> float:
    return one if (one <= other) | (one != one) else other


@_inlined
def _copy(out: Array, values: Array) -> None:
    for j in range(len(out)):
        out[j] = values[j]


@_inlined
def _begin(states: Array, values: Array, begin: int, bars: int) -> None:
    """The states over one bar each; part by part, as assigning them at once compiles its error messages for seconds."""
    for part in range(len(states)):
        if part < len(values):
            _copy(states[part, :bars], values[part, begin : begin + bars])
        else:
            states[part] = 0


@_inlined
def _sums(out: Array, newer: Array, older: Array) -> None:
    for j in range(len(out)):
        out[j] = newer[j] + older[j]


@_inlined
def _decayed_sums(out: Array, newer: Array, older: Array, weight: float) -> None:
    for j in range(len(out)):
        out[j] = older[j] * weight + newer[j]


@_inlined
def _maxima(out: Array, newer: Array, older: Array) -> None:
    for j in range(len(out)):
        out[j] = _larger(newer[j], older[j])


@_inlined
def _minima(out: Array, newer: Array, older: Array) -> None:
    for j in range(len(out)):
        out[j] = _smaller(newer[j], older[j])


@_inlined
def _ages(out: Array, newer: Array, newer_age: Array, bars: float, older: Array, older_age: Array) -> None:
    for j in range(len(out)):
        out[j] = newer_age[j] if newer[j] >= older[j] else older_age[j] + bars


@_inlined
def _means(out: Array, newer: Array, older: Array, share: float) -> None:
    for j in range(len(out)):
        out[j] = (older[j] - newer[j]) * share + newer[j]


@_inlined
def _squares(out: Array, newer: Array, newer_squares: Array, older: Array, older_squares: Array, scale: float) -> None:
    for j in range(len(out)):
        gap = older[j] - newer[j]
        out[j] = newer_squares[j] + older_squares[j] + gap * gap * scale


@_inlined
def _slopes(out: Array, newer: Array, newer_slope: Array, older: Array, older_slope: Array, scale: float) -> None:
    for j in range(len(out)):
        out[j] = newer_slope[j] + older_slope[j] - (older[j] - newer[j]) * scale


@_inlined
def _aged_sums(out: Array, newer_aged: Array, bars: float, older: Array, older_aged: Array) -> None:
    for j in range(len(out)):
        out[j] = newer_aged[j] + older_aged[j] + bars * older[j]


@_inlined
def _products(out: Array, newer: Array, older: Array) -> None:
    for j in range(len(out)):
        out[j] = newer[j] * older[j]


@_inlined
def _added(out: Array, newer: Array, newer_added: Array, older_added: Array) -> None:
    for j in range(len(out)):
        out[j] = newer_added[j] + newer[j] * older_added[j]


@_inlined
def _sums_since(out: Array, newer: Array, newer_begun: Array, older: Array) -> None:
    for j in range(len(out)):
        out[j] = newer[j] + (1 - newer_begun[j]) * older[j]


@_inlined
def _ways(out: Array, newer_way: Array, older_way: Array, high: Array, low: Array) -> None:
    for j in range(len(out)):
        out[j] = _larger(_larger(newer_way[j], older_way[j]), high[j] - low[j])


@_inlined
def _join_single(kind: int, out: Array, newer: Array, older: Array, weight: float) -> None:
    if kind == SUM:
        _sums(out, newer, older)
    elif kind == MAX:
        _maxima(out, newer, older)
    elif kind == MIN:
        _minima(out, newer, older)
    else:
        _decayed_sums(out, newer, older, weight)


@nb.njit(
    nb.void(nb.int64, _STATES, nb.int64, nb.int64, _STATES, nb.int64, _STATES, nb.int64, nb.float64),
    cache=True,
    nogil=True,
)
def _join(
    kind: int, out: Array, at: int, length: int, newer: Array, bars: int, older: Array, more: int, factor: float
) -> None:
    """Into ``out`` from row ``at`` on: the states over ``bars`` bars joined with those over the ``more`` before.

    ``length`` is that of the series; as many states as it has windows are joined.
    """
    rows, share = length - bars - more + 1, more / (bars + more)
    out_0, newer_0, older_0 = out[0, at : at + rows], newer[0, more : more + rows], older[0, :rows]
    if kind < SINCE_MAX:
        _join_single(kind, out_0, newer_0, older_0, math.pow(factor, float(bars)))
        return
    out_1, newer_1, older_1 = out[1, at : at + rows], newer[1, more : more + rows], older[1, :rows]
    if kind == SINCE_MAX:
        _maxima(out_0, newer_0, older_0)
        _ages(out_1, newer_0, newer_1, float(bars), older_0, older_1)
    elif kind == AGED:
        _sums(out_0, newer_0, older_0)
        _aged_sums(out_1, newer_1, float(bars), older_0, older_1)
    elif kind == ADAPTIVE:
        _products(out_0, newer_0, older_0)
        _added(out_1, newer_0, newer_1, older_1)
    elif kind == SINCE_START:
        _sums_since(out_0, newer_0, newer_1, older_0)
        _maxima(out_1, newer_1, older_1)
    elif kind == WAYS:
        _maxima(out_0, newer_0, older_0)
        _minima(out_1, newer_1, older_1)
        _ways(out[2, at : at + rows], newer[2, more : more + rows], older[2, :rows], older_0, newer_1)
        _ways(out[3, at : at + rows], newer[3, more : more + rows], older[3, :rows], newer_0, older_1)
    else:
        _means(out_0, newer_0, older_0, share)
        _squares(out_1, newer_0, newer_1, older_0, older_1, bars * share)
        if kind == LINE:
            out_2, newer_2, older_2 = out[2, at : at + rows], newer[2, more : more + rows], older[2, :rows]
            _slopes(out_2, newer_0, newer_2, older_0, older_2, bars * more / 2)


@nb.njit(_STATES(nb.int64, _SEVERAL, nb.int64, nb.int64, nb.float64), cache=True, nogil=True)
def fold(kind: int, values: Array, parts: int, window: int, factor: float) -> Array:
    """The states over the last ``window`` bars: ``parts`` rows, of which ``values`` are the first; NaN before."""
    length, lead = values.shape[1], window - 1
    result = np.empty((parts, length))
    if window == 1:
        _begin(result, values, 0, length)
        return result
    result[:, :lead] = np.nan
    buffers = np.empty((3, parts, min(_AT_ONCE + lead, length)))
    for begin in range(0, length - lead, _AT_ONCE):
        bars = min(_AT_ONCE + lead, length - begin)
        state, total, covered, size = 0, 0, 0, 1
        _begin(buffers[state], values, begin, bars)
        # up to the state that the last join takes: with what is covered by then, or with itself
        while covered + size < window and 2 * size < window:
            if window & size and covered:
                free = 3 - state - total
                _join(kind, buffers[free], 0, bars, buffers[total], covered, buffers[state], size, factor)
                total, covered = free, covered + size
            elif window & size:
                total, covered = state, size
            free = 3 - state - total if covered and state != total else (state + 1) % 3
            _join(kind, buffers[free], 0, bars, buffers[state], size, buffers[state], size, factor)
            state, size = free, 2 * size
        if covered == 0:
            total, covered = state, size
        _join(kind, result, begin + lead, bars, buffers[total], covered, buffers[state], size, factor)
    return result


@nb.njit(nb.float64[::1](nb.int64, _SERIES, nb.int64, nb.float64), cache=True, nogil=True)
def fold_one(kind: int, values: Array, window: int, factor: float) -> Array:
    """:func:`fold` of one series into states of one row, which most are: a call of it takes half the time."""
    states: Array = fold(kind, values.reshape((1, len(values))), 1, window, factor)[0]
    return states


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
    result = np.empty(len(numerator))
    for j in range(len(result)):
        result[j] = otherwise if denominator[j] == 0 else numerator[j] / denominator[j]
    return result


@nb.njit(nb.float64[::1](_SERIES, _SERIES, nb.int64, nb.float64), cache=True, nogil=True, error_model="numpy")
def variance(total: Array, squares: Array, window: int, rounding: float) -> Array:
    """From a window's sum and sum of squares; 0 where it is no more than this share of the mean square."""
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
                total += parts[whole & ((1 << bits) - 1)]
                whole >>= bits
        result[j] = total
    return result


_FLAGS = nb.types.Array(nb.boolean, 1, "C", readonly=True)


@nb.njit(_STATES(_SERIES, _FLAGS, nb.int64, _SERIES), cache=True, nogil=True)
def newest(values: Array, valid: npt.NDArray[np.bool_], window: int, otherwise: Array) -> Array:
    """The newest valid value of the last ``window`` and its age; ``otherwise``, aged ``window``, without one."""
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
