"""Whether a trade is closed before a funding payment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from trading_assets.strategies.plans.plan import TradePlan


class FundingDue(NamedTuple):
    """The next funding payment of a market, as far as it is known.

    Attributes
    ----------
    at
        When it is paid.
    rate
        Fraction of the notional; a positive one is paid by longs to shorts.
    """

    at: datetime
    rate: float


NextFunding = Callable[[str, datetime], FundingDue | None]
"""(market, now) -> the next payment; None where nothing is known of it."""


def costs_more_than_is_left(plan: TradePlan, price: float, rate: float) -> bool:
    """Whether a payment costs more than the targets that are left would earn from a price on.

    What a part without a target may still gain is not known: where no target is left, the trade stays.
    """
    waiting = [one for one in plan.targets if one.left > 0]
    if not waiting:
        return False
    left_to_gain = sum(one.left * max(plan.side * (one.price - price), 0.0) for one in waiting)
    return plan.side * rate * price * plan.left > left_to_gain
