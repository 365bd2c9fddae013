"""How a position is divided among the targets of its plan, in whole lots that a venue takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trading_assets.exits.plan import Target
from trading_assets.strategies.orders.limits import OrderLimits

_WHOLE: Final = 1 - 1e-9
_DUST: Final = 1e-9
"""Of a lot: a quantity that lacks so little of a whole lot is one."""


def parts_of(quantity: float, targets: Sequence[Target], prices: Sequence[float], limits: OrderLimits) -> list[float]:
    """Base units that each target closes.

    Shares are rounded down to lots, and the last target takes the rest where shares make up the whole. A part below the
    venue's minimum joins the next target, and that of the last one the target before it; so does a rest that would be
    left to the stop. What is too little for any order is left to the stop.

    Parameters
    ----------
    quantity
        Of the entry, in whole lots.
    targets, prices
        From near to far.
    limits
        Steps and minima of the venue.

    Returns
    -------
    list
        One for each target, 0 where its part has joined another; the sum is at most ``quantity``.
    """
    lots = round(quantity / limits.step)
    least = [_least(price, limits) for price in prices]
    parts = [math.floor(quantity * one.share / limits.step + _DUST) for one in targets]
    if targets and sum(one.share for one in targets) >= _WHOLE:
        parts[-1] = lots - sum(parts[:-1])
    carried = 0
    for number, needed in enumerate(least):
        parts[number] += carried
        carried = 0
        if parts[number] < needed:
            carried, parts[number] = parts[number], 0
    last = max((number for number, part in enumerate(parts) if part), default=None)
    if last is not None:
        rest = lots - sum(parts)
        if carried or 0 < rest < least[last]:
            parts[last] += carried if rest - carried >= least[last] else rest
    elif parts and sum(one.share for one in targets) >= _WHOLE:
        parts[-1] = lots  # too little for an order by its price there, yet all that there is
    return [limits.step * part for part in parts]


def _least(price: float, limits: OrderLimits) -> int:
    """Lots that an order at a price must have."""
    by_notional = limits.min_notional / price if price > 0 else 0.0
    return max(math.ceil(max(limits.min_quantity, by_notional) / limits.step - _DUST), 1)
