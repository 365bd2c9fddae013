"""The compiled loops of labels and of the clock of activity; importing this loads numba.

Without ``fastmath``: each value has one order of operations, so results are the same to the last bit everywhere.
"""

from __future__ import annotations

import math
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]
type Signs = npt.NDArray[np.int8]
type Bools = npt.NDArray[np.bool_]
type Counts = npt.NDArray[np.int32]

NO_ENTRY: Final = 2
"""In the place of a barrier: there is no candle to enter on."""

_DOUBLINGS: Final = 4
_STRIDE: Final = 2**_DOUBLINGS
"""How many times farther each level of the search steps than the one below it."""

_AHEAD: Final = 8_192
"""Candles beyond a horizon that the search prepares at once: few enough for the processor's cache."""

_TOUCH: Final = 1e-12
"""A price so near to a barrier, as a share, touches it: barriers are products of floats, prices whole ticks."""

_INTS, _FLOATS, _SIGNS = (nb.types.Array(kind, 1, "C", readonly=True) for kind in (nb.int64, nb.float64, nb.int8))


@nb.njit(cache=True, nogil=True)
def _reach(highs: Floats, lows: Floats, levels: int) -> Floats:
    """Per level the highest high ``[level, 0, i]`` and lowest low ``[level, 1, i]`` of ``_STRIDE**level`` candles."""
    reach, width = np.empty((levels, 2, len(highs))), 1
    reach[0, 0], reach[0, 1] = highs, lows
    for level in range(1, levels):
        high, low = reach[level, 0], reach[level, 1]
        high[:], low[:] = reach[level - 1, 0], reach[level - 1, 1]
        for _ in range(_DOUBLINGS):
            for i in range(len(high) - width):
                high[i] = high[i + width] if high[i + width] > high[i] else high[i]
            for i in range(len(low) - width):
                low[i] = low[i + width] if low[i + width] < low[i] else low[i]
            width *= 2
    return reach


@nb.njit(
    (
        *(_INTS, *4 * (_FLOATS,), nb.int64, nb.int64, nb.int64, nb.boolean, nb.float64),
        *(_INTS, _SIGNS, _FLOATS, _FLOATS),
        *(nb.int64[::1], nb.float64[::1], nb.int8[::1], nb.int32[::1]),
        *(nb.float64[::1], nb.int8[::1], nb.boolean[::1], nb.int32[::1]),
    ),
    cache=True,
    nogil=True,
)
def follow(
    times: Ints,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    step: int,
    bar: int,
    horizon: int,
    best_case: bool,
    cost: float,
    known_at: Ints,
    side: Signs,
    take_profit: Floats,
    stop_loss: Floats,
    label_end: Ints,
    entry_price: Floats,
    barrier: Signs,
    bars_to_hit: Counts,
    earned: Floats,
    label: Signs,
    ambiguous: Bools,
    missing: Counts,
) -> None:
    """Follow trades along candles from the first open at or after ``known_at`` to a touch or the horizon's end.

    Steps of 256, 16 and 1 candles (the longest only where the horizon is) lead past those that touch nothing.

    Parameters
    ----------
    times, opens, highs, lows, closes, step
        The candles, ascending, and their length; all times in microseconds, candles open at multiples of it.
    bar, horizon, best_case, cost
        For all trades; ``bar`` is the length in which ``bars_to_hit`` counts, ``best_case`` says who wins an ambiguous
        candle, ``cost`` is taken from the return.
    known_at, side, take_profit, stop_loss
        Of each trade, ascending.
    label_end, entry_price, barrier, bars_to_hit, earned, label, ambiguous, missing
        Receive the outcome; ``barrier`` is 1 take-profit, -1 stop-loss, 0 the horizon or ``NO_ENTRY``.
    """
    count = len(times)
    levels, top = 1, 1
    while top * _STRIDE <= horizon // step:
        levels, top = levels + 1, top * _STRIDE
    reach = np.empty((levels, 2, 0))
    entry = stop = origin = 0
    for row in range(len(known_at)):
        entered = -(-known_at[row] // step) * step
        while entry < count and times[entry] < entered:
            entry += 1
        if entry == count or times[entry] != entered:
            barrier[row] = NO_ENTRY
            continue
        horizon_end = entered + horizon
        while stop < count and times[stop] < horizon_end:
            stop += 1
        if stop > origin + reach.shape[2]:
            origin = entry
            reach = _reach(highs[entry : stop + _AHEAD], lows[entry : stop + _AHEAD], levels)
        price, long = opens[entry], side[row] > 0
        above = price * (1 + (take_profit[row] if long else stop_loss[row]))
        below = price * (1 - (stop_loss[row] if long else take_profit[row]))
        touched_above, touched_below = above * (1 - _TOUCH), below * (1 + _TOUCH)
        at, width = entry, top
        for level in range(levels - 1, -1, -1):
            while (
                at < stop
                and reach[level, 0, at - origin] < touched_above
                and reach[level, 1, at - origin] > touched_below
            ):
                at += width
            width //= _STRIDE
        last, end, way, both, left = stop - 1, horizon_end, 0, False, closes[stop - 1]
        if at < stop:
            last, end, opened = at, times[at] + step, opens[at]
            up, down = highs[at] >= touched_above, lows[at] <= touched_below
            beyond = (up and opened >= touched_above) or (down and opened <= touched_below)
            both = up and down and not beyond
            rose = opened >= touched_above if beyond else up
            won = best_case if both else rose == long
            left = opened if beyond else above if won == long else below
            way = 1 if won else -1
        gross = left / price - 1
        label_end[row], entry_price[row], barrier[row], ambiguous[row] = end, price, way, both
        earned[row] = (gross if long else -gross) - cost
        label[row] = earned[row] > 0 if way > 0 else way
        bars_to_hit[row] = -((entered - end) // bar)
        missing[row] = max((end - entered) // step - (last - entry + 1), 0)


@nb.njit((_INTS, _FLOATS, nb.int64, nb.float64, nb.int64), cache=True, nogil=True)
def activity_ticks(day: Ints, amount: Floats, days: int, per_day: float, way: int) -> Bools:
    """Whether a sum of amounts since the last tick of the day reaches what the ``days`` before make a tick of.

    ``way`` 0 sums what is never negative: a tick is the mean day's total divided by ``per_day``. 1 sums in either
    direction: a walk takes the square of a distance, in deviations of a step, to go so far. 2 is the CUSUM filter of
    the log returns of ``amount``, whose two sums do not fall below 0: the first of them takes half of that. As steps
    overshoot, the distance is less by 0.583 deviations for each sum (D. Siegmund, Sequential Analysis, 1985).
    """
    ticked = np.zeros(len(day), np.bool_)
    numbers, begins, totals = np.empty(len(day), np.int64), np.empty(len(day), np.int64), np.empty(len(day))
    count, limit, up, down = 0, 0.0, 0.0, 0.0
    for row in range(len(day)):
        if row == 0 or day[row] != day[row - 1]:
            first, total = count, 0.0
            while first > 0 and numbers[first - 1] >= day[row] - days:
                first -= 1
            for one in range(first, count):
                total += totals[one]
            limit = up = down = 0.0
            if first < count and day[0] < day[row] - days:
                steps = (row - begins[first]) / (count - first) / per_day  # of a tick
                limit = total / (count - first) / per_day
                if way > 0:
                    deviation = math.sqrt(total / (row - begins[first]))
                    limit = deviation * max(math.sqrt(way * steps) - 0.583 * way, 0.0)
            numbers[count], begins[count], totals[count] = day[row], row, 0.0
            count += 1
        step = amount[row]
        if way == 2:
            step = math.log(amount[row] / amount[row - 1]) if row else 0.0
            up, down = max(up + step, 0.0), max(down - step, 0.0)
        else:
            up += step
            down = -up
        totals[count - 1] += step if way == 0 else step * step
        if limit > 0 and max(up, down) >= limit:
            ticked[row] = True
            up = down = 0.0
    return ticked


@nb.njit((_FLOATS, _INTS, nb.float64), cache=True, nogil=True)
def trends(logs: Floats, spans: Ints, most: float) -> tuple[Ints, Floats]:
    """Of each row the span, of ascending ``spans``, and t-value (at most ``most``) of the line that fits best.

    Running sums of what is above the row's own value, so that the level of the price costs no digits.
    """
    rows = max(len(logs) - spans[-1] + 1, 0)
    found, t_values = np.empty(rows, np.int64), np.empty(rows)
    for row in range(rows):
        total = moment = squares = 0.0
        count, largest = 0, -1.0
        for span in spans:
            while count < span:
                above = logs[row + count] - logs[row]
                total, moment, squares = total + above, moment + count * above, squares + above * above
                count += 1
            spread = span * (span * span - 1.0) / 12
            slope = (moment - total * (span - 1) / 2) / spread
            left = max(squares - total * total / span - slope * slope * spread, 0.0)
            error = math.sqrt(left / (span - 2) / spread)
            t = min(abs(slope) / error, most) if error > abs(slope) / most else most if slope != 0 else 0.0
            if t > largest:
                largest, found[row], t_values[row] = t, span, -t if slope < 0 else t
    return found, t_values
