"""Folds: one state of the bars of each window, compiled.

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
