"""Orders that the venue refused: it may have placed them all the same, and then they are canceled."""

from __future__ import annotations

import queue
from collections.abc import Callable, Collection, Mapping

from trading_live.venues.account.contract import Account


class RefusedOrders:
    """Asks the account about them on one thread, and says so on another.

    To the engine a refused order is over, so that nobody else would cancel it: it would rest until the account is
    compared, and its fill would meet a later trade.

    Parameters
    ----------
    account
        At the venue.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._doubted: Mapping[str, str] = {}
        self._gone: queue.SimpleQueue[str] = queue.SimpleQueue()

    def turn(self, refused: Mapping[str, str], answered: Callable[[str], None]) -> bool:
        """Pass on what the account has said, and take the orders to ask about; on the engine's thread.

        Parameters
        ----------
        refused
            Id -> market of those that nothing has been said of.
        answered
            Told of each that does not rest.

        Returns
        -------
        bool
            Whether one of them is new.
        """
        while not self._gone.empty():
            answered(self._gone.get())
        before, self._doubted = self._doubted, dict(refused)
        return not before.keys() >= self._doubted.keys()

    def of(self, market: str) -> list[str]:
        """The market's orders that may rest."""
        return sorted(order_id for order_id, where in self._doubted.items() if where == market)

    def ask(self) -> Collection[str]:
        """Cancel those that rest; the ids of those that have filled, of which the engine will hear nothing.

        Raises
        ------
        VenueError
            If the venue does not answer; they are asked about again.
        """
        filled = set()
        for order_id, market in self._doubted.items():
            order = self._account.order(market, order_id)
            if order is not None and order.status == "open":
                self._account.cancel(market, order_id)
                order = self._account.order(market, order_id)
            if order is not None and order.filled:
                filled.add(order_id)
            if order is None or order.status != "open":
                self._gone.put(order_id)
        return filled
