"""The compiled loop of exit plans: many trades along the candles of one market; importing this loads numba.

The rule is that of :class:`trading_assets.exits.open_trade.OpenTrade`. What candles leave open is settled here, for
labels and screening alike:

- A trade is entered at the open of the candle that opens at ``known_at``, or next where that lies between two; the
  whole of that candle counts. Where that candle is missing there is no trade.
- Stop and targets are checked against the candles from the entry on, with the stop that was in force at each open.
- A candle that opens at or beyond the stop closes all that is left at its open. One that opens at or beyond targets
  fills these at its open, which is better than they are; that comes before everything else in the candle.
- After the open, targets that the candle reaches fill at their prices, and the stop, where it is reached, closes the
  rest at its price. Reached both, the candle is ambiguous: in the worst case the stop came first, for all that is left;
  in the best case the targets, and then the stop for what they leave.
- A target takes its share of the quantity entered. The last one takes the rest where shares make up the whole; where
  they do not, what is left waits for the stop or time.
- The stop moves between candles: to where costs are earned by the targets that the last one filled, and behind the best
  price when a decision bar ends, which it does whatever candles of it are missing. A bar counts from the entry on.
- Time is up at ``closes_at``: what is left is closed with the candle that ends last by then, at its close; or, where
  that is asked, at the next one's open. Of a signal of the other side nothing is known here: a trade that one ends has
  an earlier ``closes_at``. No more is known of funding.
- Excursions are what certainly happened before the end: whole candles, and of the last one its open and its fills.

Without ``fastmath``: each value has one order of operations, so results are the same to the last bit everywhere.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from trading_assets.exits.arrays import (
    BREAK_EVEN,
    END,
    NO_ENTRY,
    STOP,
    TARGETS,
    TIME,
    TRAILING,
    Bytes,
    Floats,
    Ints,
    Outcome,
    Outcomes,
    Path,
    Plan,
)

_TOUCH: Final = 1e-12
"""A price so near to a stop or target, as a share, touches it: these are products of floats, prices whole ticks."""

_WHOLE: Final = 1 - 1e-9
"""From so much on shares make up the whole."""


_INTS, _FLOATS, _SIGNS = (nb.types.Array(kind, 1, "C", readonly=True) for kind in (nb.int64, nb.float64, nb.int8))
_tuple: Any = nb.types.NamedTuple
_PATH = _tuple((_INTS, *4 * (_FLOATS,), _INTS, _FLOATS, _FLOATS, nb.int64, nb.int64), Path)
_PLAN = _tuple((nb.float64, _FLOATS, _FLOATS, nb.int64, nb.float64, nb.int64), Plan)
_FILLED = (*3 * (nb.int64,), *2 * (nb.float64,), *2 * (nb.int8,), nb.boolean, *2 * (nb.float64,))
_OUTCOMES = _tuple([kind[::1] for kind in _FILLED], Outcomes)


@nb.njit((_INTS, _FLOATS, _FLOATS, nb.int64), cache=True, nogil=True)
def _bars(times: Ints, highs: Floats, lows: Floats, bar: int) -> tuple[Ints, Floats, Floats]:
    begins, high, low = np.empty(len(times) + 1, np.int64), np.empty(len(times)), np.empty(len(times))
    count = 0
    for i in range(len(times)):
        if i == 0 or times[i] // bar != times[i - 1] // bar:
            begins[count], high[count], low[count] = i, highs[i], lows[i]
            count += 1
        else:
            high[count - 1], low[count - 1] = max(high[count - 1], highs[i]), min(low[count - 1], lows[i])
    begins[count] = len(times)
    return begins[: count + 1].copy(), high[:count].copy(), low[:count].copy()


def path(times: Ints, opens: Floats, highs: Floats, lows: Floats, closes: Floats, *, step: int, bar: int) -> Path:
    """The candles of one market as the loop reads them.

    Parameters
    ----------
    times, opens, highs, lows, closes
        Of candles, ascending; times in microseconds.
    step, bar
        Their length and that of the decision bars, in microseconds.
    """
    at = _read_only(times, np.int64)
    opened, high, low, close = (_read_only(one, np.float64) for one in (opens, highs, lows, closes))
    begins, bar_highs, bar_lows = _bars(at, high, low, bar)
    bars = (_read_only(begins, np.int64), _read_only(bar_highs, np.float64), _read_only(bar_lows, np.float64))
    return Path(at, opened, high, low, close, *bars, step, bar)


def plan_of(
    stop: float,
    targets: Floats,
    shares: Floats,
    *,
    break_even_after: int = 0,
    trailing: float = 0.0,
    trailing_after: int = 1,
) -> Plan:
    """A plan as the loop reads it; parameters as the attributes of :class:`Plan`."""
    return Plan(
        float(stop),
        _read_only(targets, np.float64),
        _read_only(shares, np.float64),
        break_even_after,
        float(trailing),
        trailing_after,
    )


def _read_only(values: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """A view of one type: the loop is compiled for arrays that it does not write to."""
    view = np.ascontiguousarray(values, dtype).view()
    view.setflags(write=False)
    return view


@nb.njit(cache=True, nogil=True)
def _goal(plan: Plan, number: int, side: int, unit: float, entry: float) -> float:
    """The signed price of a target; endless where there is none."""
    if number == len(plan.targets):
        return math.inf
    return float(side * (entry * (1 + side * (plan.targets[number] * unit))))


@nb.njit(cache=True, nogil=True)
def _fill(
    plan: Plan,
    side: int,
    unit: float,
    entry: float,
    opened: float,
    up: float,
    stop: float,
    stopped: bool,
    best_case: bool,
    filled: int,
    left: float,
) -> tuple[int, float, float, float, bool]:
    """What one candle closes of a trade that its open does not stop.

    Returns
    -------
    tuple
        Filled targets, what is left, what the parts closed are worth, the best price of them, and whether it is unclear
        which came first.
    """
    value, best, unclear, targets = 0.0, -math.inf, False, len(plan.targets)
    whole = plan.shares.sum() >= _WHOLE
    while left > 0 and filled < targets:
        goal = _goal(plan, filled, side, unit, entry)
        touched = goal - abs(goal) * _TOUCH
        if up < touched:
            break
        unclear = unclear or (stopped and opened < touched)
        if unclear and not best_case:
            break
        fill = opened if opened >= touched else goal
        share = left if whole and filled == targets - 1 else min(plan.shares[filled], left)
        filled, left, value, best = filled + 1, left - share, value + share * fill, max(best, fill)
    if stopped:
        value += left * stop
    return filled, left, value, best, unclear


@nb.njit(cache=True, nogil=True)
def _behind(plan: Plan, filled: int, follows: float, stop: float, kind: int) -> tuple[float, int]:
    """The stop, and what it is called, once a decision bar has ended: it never goes back."""
    if plan.trailing > 0 and filled >= plan.trailing_after and follows > stop:
        return follows, TRAILING
    return stop, kind


@nb.njit(cache=True, nogil=True)
def _outcome(
    candle: int,
    closed_at: int,
    side: int,
    entry: float,
    value: float,
    filled: int,
    reason: int,
    ambiguous: bool,
    least: float,
    most: float,
) -> Outcome:
    paid, price = side * value, side * entry
    adverse, favourable = max((price - least) / entry, 0.0), max((most - price) / entry, 0.0)
    return Outcome(candle, closed_at, paid, side * (paid / entry - 1), filled, reason, ambiguous, adverse, favourable)


@nb.njit(
    (_PATH, nb.int64, nb.int64, nb.int8, nb.float64, _PLAN, nb.float64, nb.int64, nb.int64, nb.boolean, nb.boolean),
    cache=True,
    nogil=True,
)
def follow_one(
    path: Path,
    first: int,
    first_bar: int,
    side: int,
    unit: float,
    plan: Plan,
    cost: float,
    closes_at: int,
    until: int,
    best_case: bool,
    next_open: bool,
) -> Outcome:
    """Follow one trade from the open of a candle to the end of its last part.

    Prices are signed, so that a long and a short trade are one: higher is better.

    Parameters
    ----------
    path
        The candles.
    first, first_bar
        The candle that is entered on, and the decision bar that it is in.
    side, unit, plan
        1 or -1; what the plan's unit is worth, as a fraction of the entry price; the plan.
    cost
        Of in and out, as a fraction: what break-even is beyond the entry price.
    closes_at, until
        When time is up, and up to when candles are known; microseconds.
    best_case
        Whether targets come first in ambiguous candles.
    next_open
        Whether time closes at the next candle's open, not at the last one's close.
    """
    times, count = path.times, len(path.times)
    entry, end = path.opens[first], min(closes_at, until) // path.step * path.step
    stop, kind = side * (entry * (1 - side * (plan.stop * unit))), STOP
    even, goal = side * (entry * (1 + side * cost)), _goal(plan, 0, side, unit, entry)
    ups, downs, sign = path.highs, path.lows, 1.0
    bar_ups, bar_downs = path.bar_highs, path.bar_lows
    if side < 0:
        ups, downs, sign = path.lows, path.highs, -1.0
        bar_ups, bar_downs = path.bar_lows, path.bar_highs
    best = most = least = sign * entry
    left, value, filled, ambiguous = 1.0, 0.0, 0, False
    i, bar = first, first_bar
    while i < count and times[i] < end:
        bar_end, high = path.begins[bar + 1], sign * bar_ups[bar]
        touched, stopping, low = goal - abs(goal) * _TOUCH, stop + abs(stop) * _TOUCH, sign * bar_downs[bar]
        if i == path.begins[bar] and times[bar_end - 1] < end and high < touched and low > stopping:
            most, least, i = max(most, high), min(least, low), bar_end
        else:
            high = -math.inf
        while i < bar_end and times[i] < end:
            opened, up, down = sign * path.opens[i], sign * ups[i], sign * downs[i]
            most, least = max(most, opened), min(least, opened)
            if opened <= stopping:
                value += left * opened
                return _outcome(i, times[i] + path.step, side, entry, value, filled, kind, ambiguous, least, most)
            if up >= touched or down <= stopping:
                before, stopped = filled, down <= stopping
                filled, left, closed, met, unclear = _fill(
                    plan, side, unit, entry, opened, up, stop, stopped, best_case, filled, left
                )
                value, most, ambiguous = value + closed, max(most, met), ambiguous or unclear
                if stopped or left <= 0:
                    reason = kind if left > 0 else TARGETS
                    least = min(least, stop) if left > 0 else least
                    return _outcome(i, times[i] + path.step, side, entry, value, filled, reason, ambiguous, least, most)
                goal = _goal(plan, filled, side, unit, entry)
                touched = goal - abs(goal) * _TOUCH
                if before < plan.break_even_after <= filled and even > stop:
                    stop, kind, stopping = even, BREAK_EVEN, even + abs(even) * _TOUCH
            most, least, high = max(most, up), min(least, down), max(high, up)
            i += 1
        if i == bar_end:
            best, bar = max(best, high), bar + 1
            stop, kind = _behind(plan, filled, best - plan.trailing * unit * entry, stop, kind)
    at_open = next_open and i < count and closes_at <= until
    last = path.opens[i] if at_open else path.closes[i - 1] if i > first else entry
    value += left * sign * last
    reason = TIME if closes_at <= until else END
    return _outcome(max(i - 1, first), end, side, entry, value, filled, reason, ambiguous, least, most)


@nb.njit(
    (_PATH, _INTS, _SIGNS, _FLOATS, _INTS, _PLAN, nb.float64, nb.int64, nb.boolean, nb.boolean, _OUTCOMES),
    cache=True,
    nogil=True,
)
def follow_plans(
    path: Path,
    known_at: Ints,
    side: Bytes,
    unit: Floats,
    closes_at: Ints,
    plan: Plan,
    cost: float,
    until: int,
    best_case: bool,
    next_open: bool,
    outcomes: Outcomes,
) -> None:
    """Follow many trades of one plan; each on its own, whatever the others do.

    Parameters
    ----------
    known_at, side, unit, closes_at
        Of each trade, ascending by ``known_at``.
    path, plan, cost, until, best_case, next_open
        As for :func:`follow_one`.
    outcomes
        Receives what became of them.
    """
    count, first, bar = len(path.times), 0, 0
    for row in range(len(known_at)):
        entered = -(-known_at[row] // path.step) * path.step
        while first < count and path.times[first] < entered:
            first += 1
        if first == count or path.times[first] != entered or entered >= until:
            outcomes.entered[row], outcomes.reason[row] = NO_ENTRY, NO_ENTRY
            continue
        while path.begins[bar + 1] <= first:
            bar += 1
        found = follow_one(
            path, first, bar, side[row], unit[row], plan, cost, closes_at[row], until, best_case, next_open
        )
        outcomes.entered[row], outcomes.candle[row], outcomes.closed_at[row] = first, found.candle, found.closed_at
        outcomes.exit_price[row], outcomes.gross[row] = found.exit_price, found.gross
        outcomes.filled[row], outcomes.reason[row] = found.filled, found.reason
        outcomes.ambiguous[row] = found.ambiguous
        outcomes.adverse[row], outcomes.favourable[row] = found.adverse, found.favourable
