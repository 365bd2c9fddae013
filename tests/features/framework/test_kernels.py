"""The compiled folds against the same order of operations in NumPy, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.features.framework import kernels


def _doubled(state, window, join):
    """The last ``window`` bars folded: ``join(newer, bars, older, more)`` of the newest bars and those before them."""
    total, covered, size = state, 0, 1
    while True:
        if window & size:
            total = join(total[:, size:], covered, state[:, :-covered], size) if covered else state
            covered += size
            if covered == window:
                return total
        state = join(state[:, size:], size, state[:, :-size], size)
        size *= 2


def _since_max(newer, bars, older, _):
    age = np.where(newer[0] >= older[0], newer[1], older[1] + bars)
    return np.stack([np.maximum(newer[0], older[0]), age])


def _mean_var(newer, bars, older, more):
    share, gap = more / (bars + more), older[0] - newer[0]
    return np.stack([newer[0] + gap * share, newer[1] + older[1] + gap * gap * (bars * share)])


def _ways(newer, _, older, __):
    fall = np.maximum(np.maximum(newer[2], older[2]), older[0] - newer[1])
    rise = np.maximum(np.maximum(newer[3], older[3]), newer[0] - older[1])
    return np.stack([np.maximum(newer[0], older[0]), np.minimum(newer[1], older[1]), fall, rise])


def _line(newer, bars, older, more):
    slope = newer[2] + older[2] - (older[0] - newer[0]) * (bars * more / 2)
    return np.vstack([_mean_var(newer[:2], bars, older[:2], more), slope])


DECAY = 0.93

JOINS = {
    "SUM": (1, lambda newer, _, older, __: newer + older),
    "MAX": (1, lambda newer, _, older, __: np.maximum(newer, older)),
    "MIN": (1, lambda newer, _, older, __: np.minimum(newer, older)),
    "DECAYING": (1, lambda newer, bars, older, _: older * DECAY**bars + newer),
    "SINCE_MAX": (2, _since_max),
    "AGED": (2, lambda n, bars, o, _: np.stack([n[0] + o[0], n[1] + o[1] + bars * o[0]])),
    "ADAPTIVE": (2, lambda n, _, o, __: np.stack([n[0] * o[0], n[1] + n[0] * o[1]])),
    "SINCE_START": (2, lambda n, _, o, __: np.stack([n[0] + (1 - n[1]) * o[0], np.maximum(n[1], o[1])])),
    "WAYS": (4, _ways),
    "MEAN_VAR": (2, _mean_var),
    "LINE": (3, _line),
}

VALUES = st.one_of(st.floats(-1e6, 1e6, allow_subnormal=False), st.integers(-3, 3).map(float), st.just(np.nan))


@pytest.mark.parametrize("kind", JOINS)
@pytest.mark.filterwarnings("ignore:invalid value encountered", "ignore:overflow encountered")
@given(data=st.data(), window=st.integers(2, 200), rows=st.integers(1, 260))
def test_a_fold_has_the_bits_of_its_order_of_operations(kind, data, window, rows):
    parts, join = JOINS[kind]
    given_rows = data.draw(st.sampled_from([1, parts]))
    few = data.draw(st.lists(VALUES, min_size=1, max_size=20))
    values = np.random.default_rng(rows).choice(few, (given_rows, rows))
    result = kernels.fold(getattr(kernels, kind), values, parts, window, DECAY)
    assert result.shape == (parts, rows)
    assert np.isnan(result[:, : window - 1]).all()
    if rows >= window:
        state = np.vstack([values, np.zeros((parts - given_rows, rows))])
        np.testing.assert_array_equal(result[:, window - 1 :], _doubled(state, window, join))


@pytest.mark.parametrize("kind", JOINS)
def test_a_long_series_has_the_bits_of_its_parts(kind):
    parts, _ = JOINS[kind]
    values = np.random.default_rng(5).normal(1, 0.1, (1, 9_000))
    fold = getattr(kernels, kind)
    whole = kernels.fold(fold, values, parts, 77, DECAY)
    for begin in range(0, 9_000 - 1_000, 997):
        alone = kernels.fold(fold, np.ascontiguousarray(values[:, begin : begin + 1_000]), parts, 77, DECAY)
        np.testing.assert_array_equal(whole[:, begin + 76 : begin + 1_000], alone[:, 76:])


def test_a_window_of_one_bar_is_the_bar():
    values = np.array([[3.0, np.nan, 1.0]])
    np.testing.assert_array_equal(kernels.fold(kernels.LINE, values, 3, 1, 0.0), [values[0], [0] * 3, [0] * 3])
