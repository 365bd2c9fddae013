"""What the coins are worth that a venue takes fees in, as it last said: asked for off the engine's thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from trading_live.venues.account.contract import Account, VenueError

LONGEST_S: Final = 900.0
"""A price that is older says nothing of a fill any more."""

UNVALUED: Final = "fee not valued"
"""The node event for a fee in a coin that nobody knows the worth of: no result holds it."""


class CoinPrices:
    """Prices of coins in quote currencies, each as the venue last said it.

    The engine's thread reads, and what it asked for in vain is wanted from then on; the comparison's thread learns.

    Parameters
    ----------
    monotonic
        Seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, float]] = {}
        self._wanted: set[tuple[str, str]] = set()
        self._lacked: set[tuple[str, str]] = set()
        self._told: set[tuple[str, str]] = set()

    def __call__(self, coin: str, quote: str) -> float | None:
        """Quote currency for one unit; None where the venue has not said it within a quarter of an hour."""
        with self._lock:
            self._wanted.add((coin, quote))
            price, at = self._known.get((coin, quote), (0.0, 0.0))
            if price > 0 and self._monotonic() - at <= LONGEST_S:
                return price
            self._lacked.add((coin, quote))
            return None

    def begin(self, account: Account, quotes: Iterable[str]) -> None:
        """Learn the prices of those coins that the venue takes fees in and the account owns some of."""
        if account.fee_coins and (owned := account.balances().keys() & set(account.fee_coins)):
            with self._lock:
                self._wanted |= {(coin, quote) for coin in owned for quote in quotes if coin != quote}
            self.learn(account)

    def learn(self, account: Account) -> None:
        """Ask for what is wanted; a price that the venue does not say now keeps its age."""
        with self._lock:
            wanted = sorted(self._wanted)
        for coin, quote in wanted:
            try:
                price = account.rate(coin, quote)
            except VenueError:
                continue
            if price is not None:
                with self._lock:
                    self._known[coin, quote] = price, self._monotonic()

    def lacking(self) -> list[str]:
        """What fees were taken in with no price known since, each once; in words."""
        with self._lock:
            new, self._lacked = self._lacked - self._told, set()
            self._told |= new
        return [
            f"the venue took a fee in {coin} and has not said what that is worth in {quote}: results leave it out, and "
            f"trading performance counts it where candles of {coin}/{quote} are stored"
            for coin, quote in sorted(new)
        ]
