"""Where an instant stands among candles, in constant time per instant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Positions:
    """Row numbers of candles by time, as ``np.searchsorted`` gives them but from a table.

    Parameters
    ----------
    times
        Open times, ascending, microseconds.
    step
        The candles' length; times that are not multiples of it apart are searched for instead.
    """

    def __init__(self, times: Ints, step: int) -> None:
        self._times = times
        self._step = step
        slots, rest = np.divmod(times - times[0], step) if len(times) else (times, times)
        self._regular = len(times) > 0 and not rest.any()
        if self._regular:
            present = np.zeros(int(slots[-1]) + 2, dtype=np.int64)
            present[slots + 1] = 1
            self._before = np.cumsum(present)

    def first_from(self, instants: Ints) -> Ints:
        """For each instant the row of the first candle that opens at it or later; the number of candles if none."""
        if not self._regular:
            return np.searchsorted(self._times, instants)
        slots: Ints = -((self._times[0] - instants) // self._step)
        return self._before.take(slots, mode="clip")
