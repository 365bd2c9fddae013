"""Asks the venue beside the engine: its clock, whether it answers, and the dead man's switch. A thread of its own.

A request may take seconds, and the engine's thread must not wait for it. What is found stands in plain attributes that
the protections read. The switch is armed only while the engine's thread gives signs of life: one that hangs is dead.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from trading_live.venues.account import Account, VenueError

_LOG: Final = structlog.get_logger(__name__)
EVERY_S: Final = 15.0
"""Between two questions about the time: a clock does not run away in less."""

_ARMS: Final = 3
"""Times that the switch is armed within its own time: two answers may be lost."""

_ALIVE_S: Final = 5.0
"""After so long without a sign of life of the engine's thread, the switch is left to run out."""


class VenueWatch:
    """What the venue says while the node trades there.

    Parameters
    ----------
    account
        Of this thread alone.
    markets
        Whose orders the switch cancels.
    cancel_after_s
        Of the dead man's switch; None for none.
    every_s
        Between two rounds.
    monotonic, now
        Seconds that only grow, and this machine's clock.

    Attributes
    ----------
    skew_s
        How far this machine's clock is from the venue's, either way; None before the first answer.
    failures
        Requests that were not answered, since the start.
    said
        What of the switch is to be journalled, by the engine's thread.
    """

    def __init__(
        self,
        account: Account,
        markets: Sequence[str],
        *,
        cancel_after_s: float | None,
        every_s: float = EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.skew_s: float | None = None
        self.failures = 0
        self.said: deque[str] = deque()
        self._account = account
        self._markets = tuple(markets)
        self._cancel_after_s = cancel_after_s
        self._every_s = every_s if cancel_after_s is None else min(every_s, cancel_after_s / _ARMS)
        self._monotonic = monotonic
        self._now = now
        self._alive = -math.inf
        self._armed = False
        self._trouble = ""
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="venue-watch", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def alive(self) -> None:
        """The engine's thread is at work; it says so more often than once a second."""
        self._alive = self._monotonic()

    def close(self) -> None:
        """Take the switch back, and end: what rests at the venue is to stay when a node ends in order."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self.disarm()

    def disarm(self) -> None:
        """Take the switch back where it is armed; told where the venue does not answer."""
        if not self._armed:
            return
        try:
            self._account.cancel_after(None, self._markets)
            self._armed = False
        except VenueError as error:
            self.said.append(f"the venue will cancel all orders, it does not take the switch back: {error}")

    def once(self) -> None:
        """One round: the time, and the switch."""
        try:
            before = self._now()
            there = self._account.clock()
            after = self._now()
            self.skew_s = abs((before + (after - before) / 2 - there).total_seconds())
            self._arm()
            self._trouble = ""
        except VenueError as error:
            self.failures += 1
            if not self._trouble:
                _LOG.warning("venue", error=str(error))
            self._trouble = str(error)

    def _arm(self) -> None:
        if self._cancel_after_s is None or self._monotonic() - self._alive > _ALIVE_S:
            return
        before, self._armed = self._armed, True  # also where no answer comes: it may be armed all the same
        has_one = self._account.cancel_after(self._cancel_after_s, self._markets)
        if has_one and not before:
            self.said.append(f"armed: the venue cancels all orders after {self._cancel_after_s:g} s of silence")
        elif not has_one:
            self.said.append(f"{self._account.place} has no such switch; trading.protections.cancel_after_s")
            self._cancel_after_s, self._armed = None, False

    def _run(self) -> None:
        while True:
            self.once()
            if self._ends.wait(self._every_s):
                return
