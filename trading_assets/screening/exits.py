"""From what became of trades along the candles to what the walk reads: the parts that targets closed, and the rest."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from trading_assets.exits import arrays as found_as
from trading_assets.exits.arrays import Path, Plan
from trading_assets.screening.arrays import END, STOP, TARGET, TIME, Floats, Ints, Outcomes, World

_NO_ENTRY: Final = found_as.NO_ENTRY
_TARGETS: Final = found_as.TARGETS
_TIME_UP: Final = found_as.TIME
_CANDLES_END: Final = found_as.END

_TOUCH: Final = 1e-12
"""As where trades are followed: a price so near to a target, as a share, touches it."""


@nb.njit(cache=True, nogil=True)
def write_down(
    path: Path,
    plan: Plan,
    world: World,
    out: Outcomes,
    m: int,
    k: int,
    at: Ints,
    unit: Floats,
    closes_at: Ints,
    until: int,
    found: found_as.Outcomes,
) -> None:
    """Fill the rows ``at`` of a market's side.

    Targets fill at the first candle that reaches them, at their price or at its open beyond it; what is left when the
    trade ends has the price that makes the mean of all parts what was found.
    """
    side = 1.0 if k == 0 else -1.0
    for row in range(len(at)):
        g, first = at[row], found.entered[row]
        if found.reason[row] == _NO_ENTRY:
            continue
        entry = path.opens[first]
        out.entry[m, k, g], out.entered_at[m, k, g] = entry, path.times[first]
        whole = found.reason[row] == _TARGETS
        parts = found.filled[row] - 1 if whole else found.filled[row]
        i, rest, paid = first, 1.0, 0.0
        for part in range(parts):
            goal = entry * (1 + side * (plan.targets[part] * unit[row]))
            while side * (path.highs[i] if side > 0 else path.lows[i]) < side * goal - abs(goal) * _TOUCH:
                i += 1
            opened = path.opens[i]
            price = opened if side * opened >= side * goal - abs(goal) * _TOUCH else goal
            out.part_at[m, k, g, part] = path.times[i] + path.step - 1
            out.part_price[m, k, g, part] = price
            paid += out.shares[m, part] * price
            rest -= out.shares[m, part]
        out.parts[m, k, g] = parts
        out.left[m, k, g] = (found.exit_price[row] - paid) / rest
        reason, end = found.reason[row], found.closed_at[row]
        if reason in (_TIME_UP, _CANDLES_END):
            timed = reason == _TIME_UP and closes_at[row] < until
            out.reason[m, k, g] = TIME if timed else END
            out.left_at[m, k, g] = max(closes_at[row], end) if timed else until - 1
            out.free[m, k, g] = np.searchsorted(world.known, closes_at[row] if timed else until, side="right")
        else:
            out.reason[m, k, g] = TARGET if whole else STOP
            out.left_at[m, k, g] = end - 1
            out.free[m, k, g] = np.searchsorted(world.known, end)
