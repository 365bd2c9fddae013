"""The compiled loops of screening: what a trade is worth while it is open, and the walk along the signals of many sets.

What becomes of a trade depends on the bar, the side and the exit plan, not on the rule's parameters: so it is computed
once for all sets (:mod:`trading_assets.screening.outcomes`), and a set is a walk along its signals that skips those
that come while a trade is open. Without ``fastmath``: results are the same to the last bit everywhere.
"""

from __future__ import annotations

import math
from typing import Final

import numba as nb
import numpy as np

from trading_assets.screening.arrays import (
    CAPPED,
    DAY,
    ENTERED,
    FEES,
    FUNDING,
    GAINED,
    HELD,
    LONG,
    LOST,
    MISSED,
    OPPOSITE,
    REFUSED,
    SHORT,
    TARGET,
    WON,
    Costs,
    Log,
    Outcomes,
    Signs,
    State,
    World,
)

_STEP_ROUNDING: Final = 1e-9

_LEAST_SHARE: Final = 0.5
"""An entry is cut down to this share of what is wanted, and refused below: as in the backtest."""


@nb.njit(cache=True, nogil=True)
def held(world: World, out: Outcomes, costs: Costs, m: int, k: int, g: int, until: int) -> tuple[float, ...]:
    """Of a trade, up to a moment: what its parts gained, their fees, funding, mean exit so far, what is left of it.

    All as fractions of the notional at the entry, of which the entry's own fee is paid; the mean exit is a price times
    the share that it closed.
    """
    entry, side = out.entry[m, k, g], 1.0 if k == LONG else -1.0
    slip = costs.slips[m] / entry
    gained, fees, funding, closed, rest = -slip, costs.taker[m], 0.0, 0.0, 1.0
    at = out.entered_at[m, k, g]
    paid_at, paid, assumed = world.paid_at[m], world.paid[m], world.assumed[m]
    pays = len(paid_at) > 0
    before = np.searchsorted(paid_at, at, side="right") if pays else 0
    for part in range(out.parts[m, k, g]):
        at = out.part_at[m, k, g, part]
        if at > until:
            break
        price, share = out.part_price[m, k, g, part], out.shares[m, part]
        if pays:
            now = np.searchsorted(paid_at, at, side="right")
            funding += rest * (side * (paid[now] - paid[before]) + assumed[now] - assumed[before]) / entry
            before = now
        gained += share * (side * (price / entry - 1) - slip)
        fees += share * costs.maker[m] * price / entry
        closed += share * price
        rest -= share
    if pays:
        now = np.searchsorted(paid_at, until, side="right")
        funding += rest * (side * (paid[now] - paid[before]) + assumed[now] - assumed[before]) / entry
    return gained, fees, funding, closed, rest


@nb.njit(cache=True, nogil=True)
def worth(world: World, out: Outcomes, costs: Costs, m: int, k: int, g: int, until: int, price: float) -> float:
    """What an open trade brought and would bring at a price, as a fraction of its notional, without the exit's fee."""
    gained, fees, funding, _, rest = held(world, out, costs, m, k, g, until)
    side = 1.0 if k == LONG else -1.0
    value: float = gained - fees - funding + rest * side * (price / out.entry[m, k, g] - 1)
    return value


@nb.njit(cache=True, nogil=True)
def _settle(world: World, out: Outcomes, costs: Costs, state: State, log: Log, s: int, m: int, cut: int) -> None:
    """Close a trade and write it down: by its own plan, or where ``cut`` is not -1 after that bar of the grid."""
    g, k, quantity = state.bar[s, m], state.side[s, m], state.quantity[s, m]
    entry, side = out.entry[m, k, g], 1.0 if k == LONG else -1.0
    at, price, reason = out.left_at[m, k, g], out.left[m, k, g], int(out.reason[m, k, g])
    if cut >= 0:
        at, price, reason = world.next_at[m, cut], world.next_open[m, cut], OPPOSITE
    gained, fees, funding, closed, rest = held(world, out, costs, m, k, g, at if cut < 0 else world.known[cut])
    fee = costs.maker[m] if reason == TARGET else costs.taker[m]
    gained += rest * (side * (price / entry - 1) - costs.slips[m] / entry)
    fees += rest * fee * price / entry
    notional = quantity * entry
    result = notional * (gained - fees - funding)
    days = state.change.shape[1]
    first = min(max(out.entered_at[m, k, g] // DAY - world.first_day, 0), days - 1)
    last = min(max(at // DAY - world.first_day, first), days - 1)
    for day in range(first, last):
        midnight = (world.first_day + day + 1) * DAY
        floating = notional * worth(world, out, costs, m, k, g, midnight - 1, world.midnights[m, day])
        state.change[s, day] += floating
        state.change[s, day + 1] -= floating
    state.change[s, last] += result
    state.balance[s] += result
    if at // DAY > state.loss_day[s]:
        state.loss_day[s], state.day_result[s] = at // DAY, 0.0
    if at // DAY == state.loss_day[s]:
        state.day_result[s] += result
    state.counts[s, WON] += result > 0
    state.sums[s, GAINED] += max(result, 0.0)
    state.sums[s, LOST] += max(-result, 0.0)
    state.sums[s, FEES] += notional * fees
    state.sums[s, FUNDING] += notional * funding
    state.sums[s, HELD] += at - out.entered_at[m, k, g]
    state.bar[s, m] = -1
    row = log.written[0]
    if row < len(log.numbers):
        numbers, amounts = log.numbers[row], log.amounts[row]
        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5] = s, m, g, k, at, reason
        amounts[0], amounts[1], amounts[2] = quantity, entry, closed + rest * price
        amounts[3], amounts[4], amounts[5] = notional * fees, notional * funding, result
        log.written[0] = row + 1


@nb.njit(cache=True, nogil=True)
def _quantity(world: World, out: Outcomes, costs: Costs, state: State, s: int, m: int, k: int, g: int) -> float:
    """How much is bought or sold, in whole steps; 0 where a limit refuses it."""
    now, lot = world.known[g], world.lot[m]
    if now // DAY == state.loss_day[s] and -state.day_result[s] >= costs.max_daily_loss:
        return 0.0
    equity, gross, bound = state.balance[s], 0.0, 0.0
    for other in range(state.bar.shape[1]):
        begun = state.bar[s, other]
        if begun < 0:
            continue
        way, held_now = state.side[s, other], state.quantity[s, other]
        paid_for = held_now * out.entry[other, way, begun]
        equity += paid_for * worth(world, out, costs, other, way, begun, now - 1, world.close[other, g])
        gross += held_now * world.close[other, g]
        if not costs.lent[other]:
            bound += paid_for * (1 + costs.dearest)
    price = world.close[m, g]
    notional = min(out.stake[m, k, g] * equity, costs.max_notional, costs.max_market_leverage * equity)
    left = min(costs.max_leverage * equity, costs.max_total) - gross
    if left < notional:
        state.counts[s, CAPPED] += left >= _LEAST_SHARE * notional
        notional = left if left >= _LEAST_SHARE * notional else 0.0
    wanted = math.floor(notional / price / lot + _STEP_ROUNDING)
    most = wanted
    if costs.max_volume > 0:
        most = min(math.floor(min(costs.max_volume * world.volume[m, g] / lot, 1e18) + _STEP_ROUNDING), wanted)
    if not costs.lent[m]:
        paid = math.floor((state.balance[s] - bound) / (price * (1 + costs.dearest)) / lot + _STEP_ROUNDING)
        if paid < most:
            most = paid if paid >= _LEAST_SHARE * most else 0
    state.counts[s, CAPPED] += 0 < most < wanted
    quantity: float = max(most, 0) * lot
    return quantity if quantity * price >= costs.least_notional else 0.0


@nb.njit(cache=True, nogil=True)
def _decide(world: World, out: Outcomes, costs: Costs, state: State, log: Log, s: int, m: int, k: int, g: int) -> None:
    """What a wanted trade leads to: the end of one of the other side, an entry, or nothing."""
    if state.bar[s, m] >= 0:
        if costs.opposite and state.side[s, m] != k and not math.isnan(world.next_open[m, g]):
            _settle(world, out, costs, state, log, s, m, g)
        return
    if math.isnan(out.entry[m, k, g]):
        state.counts[s, MISSED] += 1
        return
    quantity = _quantity(world, out, costs, state, s, m, k, g)
    if quantity > 0:
        state.counts[s, ENTERED] += 1
        state.bar[s, m], state.side[s, m], state.quantity[s, m] = g, k, quantity
    else:
        state.counts[s, REFUSED] += 1


@nb.njit(cache=True, nogil=True)
def _next(sides: Signs, first: int, out: Outcomes, costs: Costs, state: State, s: int, g: int) -> int:
    """The first bar from ``g`` on at which something may happen, or the one after the last.

    Of one market, nothing happens within a trade that no signal ends, nor before the next signal.
    """
    last = first + sides.shape[2]
    if sides.shape[1] > 1:
        return g
    begun = state.bar[s, 0]
    if begun >= 0 and not costs.opposite:
        g = max(g, out.free[0, state.side[s, 0], begun])
    while g < last and sides[s, 0, g - first] == 0:
        g += 1
    return g


@nb.njit(cache=True, nogil=True)
def walk(sides: Signs, first: int, world: World, out: Outcomes, costs: Costs, state: State, log: Log) -> None:
    """Walk many sets along a part of the grid.

    Parameters
    ----------
    sides
        1, -1 or 0: what each set wants on each market (sets x markets x bars), from bar ``first`` of the grid on.
    state
        Of these sets, row by row; it is changed.
    """
    sets, markets, width = sides.shape
    for s in range(sets):
        g = _next(sides, first, out, costs, state, s, first)
        while g < first + width:
            for m in range(markets):
                begun = state.bar[s, m]
                if begun >= 0 and out.free[m, state.side[s, m], begun] <= g:
                    _settle(world, out, costs, state, log, s, m, -1)
            for m in range(markets):
                wanted = sides[s, m, g - first]
                if wanted != 0:
                    _decide(world, out, costs, state, log, s, m, LONG if wanted > 0 else SHORT, g)
            g = _next(sides, first, out, costs, state, s, g + 1)


@nb.njit(cache=True, nogil=True)
def finish(world: World, out: Outcomes, costs: Costs, state: State, log: Log) -> None:
    """Close what is open as its plan or the end of the data closes it."""
    for s in range(len(state.balance)):
        for m in range(state.bar.shape[1]):
            if state.bar[s, m] >= 0:
                _settle(world, out, costs, state, log, s, m, -1)
