"""The first candle that leaves a corridor, for all entries at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def first_touch(high: Floats, low: Floats, entry: Ints, stop: Ints, *, above: Floats, below: Floats) -> Ints:
    """Index of the first candle in ``[entry, stop)`` with ``high >= above`` or ``low <= below``; ``>= stop`` if none.

    A table of the extremes over the next 1, 2, 4, ... candles lets every entry jump over stretches without a touch: as
    many steps as the longest horizon has binary digits, for all entries at once, whatever they hit. Long arrays are
    best given in passes (:func:`trading_assets.labels.passes.in_passes`): the table holds all candles of one call.

    Parameters
    ----------
    high, low
        Of all candles.
    entry, stop
        Per entry, ascending: its first candle's index and the index after its last.
    above, below
        Per entry: the corridor.
    """
    if not len(entry):
        return np.empty_like(entry)
    origin, end = int(entry[0]), int(stop.max())
    high, low, longest = high[origin:end], low[origin:end], int((stop - entry).max())
    steps = longest.bit_length()
    highs = _extremes(np.maximum, high, steps, -np.inf)
    lows = _extremes(np.minimum, low, steps, np.inf)
    at = entry - origin
    for power in range(steps - 1, -1, -1):
        inside = (highs[power].take(at) < above) & (lows[power].take(at) > below)
        at += inside.astype(np.int64) << power
    return at + origin


def _extremes(extreme: np.ufunc, values: Floats, steps: int, neutral: float) -> list[Floats]:
    """``table[k][i]``: the extreme of ``values[i : i + 2**k]``, neutral beyond the end."""
    padded = np.full(len(values) + (1 << steps), neutral)
    padded[: len(values)] = values
    table = [padded]
    for power in range(steps - 1):
        half = 1 << power
        level = table[-1].copy()
        extreme(level[:-half], level[half:], out=level[:-half])
        table.append(level)
    return table
