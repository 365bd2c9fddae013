"""The risk gate: asked before every entry. No clock and no I/O: time comes in as data."""

from __future__ import annotations

from collections import deque
from datetime import date, datetime, timedelta
from typing import Final

from trading_assets.core.precision import money
from trading_assets.settings import RiskSettings

ROUND_TRIP_ORDERS: Final = 3
"""Entry, stop, target."""

CUT_TO: Final = " cut to "
"""What the reason of an entry says that a limit made smaller."""

_MINUTE: Final = timedelta(minutes=1)
_FEW_ORDERS: Final = 10
"""Of one market in a minute: three round trips and a close. More is a fault, not trading."""


def engine_order_rate(markets: int) -> str:
    """The engine's own limit of orders a second, wide enough that it never denies a stop: the gate limits entries.

    >>> engine_order_rate(60)
    '600/00:00:01'
    """
    return f"{max(100, 10 * markets)}/00:00:01"


class RiskGate:
    """Refuses an entry that would break a limit; orders that reduce risk are counted but never refused.

    Parameters
    ----------
    limits
        Maximum notional of one market's position, maximum realised loss of one UTC day, maximum orders per minute.
    markets
        How many are traded: where the settings do not say how many orders a minute may have, it grows with them.

    Notes
    -----
    The day's result is realised profit and loss after fees, in quote currency. The minute is the sliding one that ends
    now.
    """

    def __init__(self, limits: RiskSettings, *, markets: int = 1) -> None:
        self.limits = limits
        given = limits.max_orders_per_minute
        self.max_orders_per_minute = _FEW_ORDERS + ROUND_TRIP_ORDERS * (markets - 1) if given is None else given
        self._orders: deque[datetime] = deque()
        self._day: date | None = None
        self._realised = 0.0

    def cut(self, notional: float) -> tuple[float, str]:
        """A position's notional cut to the most that it may be, and the words that say so where it was cut."""
        most = self.limits.max_position_notional
        if notional <= most:
            return notional, ""
        return most, f"position notional {money(notional)}{CUT_TO}{money(most)} (trading.risk.max_position_notional)"

    def too_small(self, notional: float) -> str | None:
        """Why an entry is too small, with value and limit; None if it is not."""
        if notional >= (least := self.limits.min_position_notional):
            return None
        return f"notional {money(notional)} below the minimum {money(least)} (trading.risk.min_position_notional)"

    def refusal(self, now: datetime, notional: float, *, orders: int = 1) -> str | None:
        """Why an entry must not be sent, with value and limit; None if it may.

        Parameters
        ----------
        now
            UTC.
        notional
            What the market's position would be worth, in quote currency.
        orders
            How many orders the entry sends.
        """
        limits = self.limits
        if notional > limits.max_position_notional:
            limit = f"{money(limits.max_position_notional)} (trading.risk.max_position_notional)"
            return f"position notional {money(notional)} above the limit {limit}"
        loss = -self.realised(now)
        if loss >= limits.max_daily_loss:
            limit = f"{money(limits.max_daily_loss)} (trading.risk.max_daily_loss)"
            return f"daily loss {money(loss)} on {now:%Y-%m-%d} UTC reached the limit {limit}"
        count = self.orders_in_minute(now) + orders
        if count > self.max_orders_per_minute:
            limit = f"{self.max_orders_per_minute} (trading.risk.max_orders_per_minute)"
            return f"orders per minute {count} above the limit {limit}"
        return None

    def order_sent(self, now: datetime) -> None:
        """Count one order."""
        self._orders.append(now)

    def realise(self, now: datetime, pnl: float) -> None:
        """Add a realised profit or loss (after fees) to its UTC day; also used to restore the day after a restart."""
        self._roll(now)
        if now.date() == self._day:  # an earlier day's result no longer counts
            self._realised += pnl

    def realised(self, now: datetime) -> float:
        """Realised profit and loss of the UTC day of ``now``."""
        self._roll(now)
        return self._realised

    def orders_in_minute(self, now: datetime) -> int:
        """Orders sent in the minute that ends now."""
        while self._orders and self._orders[0] <= now - _MINUTE:
            self._orders.popleft()
        return len(self._orders)

    def _roll(self, now: datetime) -> None:
        if self._day is None or now.date() > self._day:
            self._day, self._realised = now.date(), 0.0
