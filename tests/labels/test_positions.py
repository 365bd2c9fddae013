from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.labels.positions import Positions

TIMES = st.lists(st.integers(-500, 500), unique=True, max_size=60).map(
    lambda values: np.array(sorted(values), dtype=np.int64)
)
INSTANTS = st.lists(st.integers(-9_000, 9_000), max_size=60).map(lambda values: np.array(values, dtype=np.int64))


@given(times=TIMES, instants=INSTANTS, step=st.integers(1, 9), regular=st.booleans())
def test_positions_are_those_of_a_binary_search(times, instants, step, regular):
    times = times * step + 3 if regular else times
    np.testing.assert_array_equal(Positions(times, step).first_from(instants), np.searchsorted(times, instants))
