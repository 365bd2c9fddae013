"""Looks at the venue all the time: how long a position had no stop of its size, with a node that could place it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from trading_live.replay.orders.account import AccountView

LOOK_S = 0.05


class Struck(Protocol):
    """Says from when on nothing is wrong with the venue."""

    struck: float


class Naked:
    """The longest time without a stop, and which position that was.

    Parameters
    ----------
    account
        At the venue.
    trades
        Whether a node trades.
    faults
        What was wrong last.
    """

    def __init__(self, account: AccountView, trades: Callable[[], bool], faults: Struck) -> None:
        self.longest, self.where = 0.0, ""
        self._account, self._trades, self._faults = account, trades, faults
        self._ended = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look as long as this lasts."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        since: float | None = None
        while not self._ended.wait(LOOK_S):
            now, bare = time.monotonic(), lacking(self._account)
            if not bare or not self._trades():
                since = None
                continue
            since = max(now if since is None else since, self._faults.struck)
            if now - since > self.longest:
                self.longest, self.where = now - since, bare


def lacking(account: AccountView) -> str:
    """A position that has no stop of its size; empty where there is none."""
    while True:
        with suppress(RuntimeError):  # a dictionary that grew while it was read
            return _lacking(account)


def _lacking(account: AccountView) -> str:
    for symbol, held in account.positions.items():
        side = "SELL" if held.quantity > 0 else "BUY"
        stops = sum(
            one.quantity
            for one in account.conditionals
            if one.open and one.symbol == symbol and one.side == side and one.kind == "STOP_MARKET"
        )
        if stops < abs(held.quantity):
            return f"{symbol} {held.quantity}, stops of {stops}"
    return ""
