"""The balances of a venue whose stream of executions tells none: the engine would go on with those of its start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from nautilus_trader.model import AccountId, InstrumentId

from trading_live.venues.contract import Venue

_SOON_S: Final = 1.0
"""After what is held has changed: by then the venue's balances say so."""

_EVERY_S: Final = 60.0
"""What fees, deposits and a lost answer come to is known this late."""


class AskedBalances:
    """Has the engine ask for them: soon after a fill, and every minute.

    Parameters
    ----------
    strategy
        Asks, on the engine's thread; its portfolio says what is held.
    instruments
        Whose positions are looked at.
    account
        The venue's, as the engine calls it.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        strategy: Any,
        instruments: Iterable[InstrumentId],
        account: AccountId,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._strategy = strategy
        self._instruments = list(instruments)
        self._account = account
        self._clock = clock
        self._held: list[Any] | None = None
        self._due = math.inf

    def look(self) -> None:
        """Ask where it is time; call it often."""
        if not self._strategy.is_running():
            return
        now, held = self._clock(), [self._strategy.portfolio.net_position(one) for one in self._instruments]
        if held != self._held:
            self._held, self._due = held, min(self._due, now + _SOON_S)
        if now >= self._due:
            self._due = now + _EVERY_S
            self._strategy.query_account(self._account)


def with_balances(
    look: Callable[[], None], venue: Venue, strategy: Any, instruments: Iterable[InstrumentId]
) -> Callable[[], None]:
    """A node's look, which asks for balances too where orders are real and the venue's stream tells none."""
    if venue.node.mode != "live" or venue.streams_balances:
        return look
    asked = AskedBalances(strategy, instruments, AccountId(f"{venue.engine_name}-001"))

    def looking() -> None:
        look()
        asked.look()

    return looking
