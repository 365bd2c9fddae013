"""While the node runs, journal, engine and venue are compared every minute, off the engine's thread.

A thread of its own asks the account and compares; what the engine holds, and what is written and told, pass through
:meth:`Reconciler.turn`, which the engine's thread calls with each heartbeat.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from trading_assets.journal import BufferedJournal
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_live.node.reconciling.comparing import Comparing
from trading_live.node.reconciling.handover import Handover, Look, Trading, each
from trading_live.reconciliation.coin_prices import UNVALUED
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.views import EngineSays
from trading_live.venues.account.contract import Account, VenueError

_LOG: Final = structlog.get_logger(__name__)
AGAIN_S: Final = 5.0
"""After a difference: the next look, by which a stop is lifted."""

_GOODBYE_S: Final = 5.0

MOST_FAILURES: Final = 2
"""Looks in a row that the venue did not answer: from then on nothing is entered."""

ACCOUNT: Final = "account"
"""Where a difference is of no market."""

DIFFERS: Final = "account differs"
AGREES: Final = "account agrees"
UNANSWERED: Final = "account not compared"
"""Node events."""


class Reconciler:
    """Compares, stops entries where something differs, settles it by its rule, and lets go when all agree again.

    Parameters
    ----------
    account
        At the venue.
    markets
        That the node trades.
    ids
        Whose an order is.
    journal
        Written on the engine's thread.
    tell, warn
        (event, detail): into the journal, and as a warning.
    every_s
        From one look to the next while nothing differs.
    again_s
        To the next where something differed.
    compares
        How: of :class:`~trading_live.node.reconciling.comparing.Comparing`.

    Attributes
    ----------
    looks, last_s
        How many there were, and how long the newest took.
    differences
        Market, or :data:`ACCOUNT`, -> how many the newest look that was answered found.
    compared_at
        The monotonic second at which that was; before the first, of the beginning.
    failures
        Requests that the venue did not answer, or refused for now.
    prices
        Of the coins that fees are paid in.
    settled
        Whether the newest look that was answered found nothing that stops a market.
    """

    def __init__(
        self,
        account: Account,
        markets: Sequence[str],
        ids: OrderIds,
        journal: BufferedJournal,
        *,
        tell: Callable[[str, str], None],
        warn: Callable[[str, str], None],
        every_s: float,
        again_s: float = AGAIN_S,
        **compares: Any,
    ) -> None:
        self.looks = 0
        self.last_s: float | None = None
        self.differences: Mapping[str, int] = dict.fromkeys(markets, 0)
        self.compared_at = time.monotonic()
        self.failures = 0
        self.settled = False
        self._markets = list(markets)
        self._journal = journal
        self._tell, self._warn = tell, warn
        self._every_s, self._again_s = every_s, again_s
        self._engine = Handover()
        self._comparing = Comparing(account, markets, ids, journal, self._engine, **compares)
        self.prices = self._comparing.prices
        self._hurried: frozenset[tuple[str, str]] = frozenset()
        self._stopped: Mapping[str, str] = {}
        self._told: dict[tuple[str, str, str], str] = {}
        self._unanswered = 0
        self._failing = ""
        self._rival = ""
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def __enter__(self) -> Reconciler:
        """Journal where the account stands before the engine starts; compare from its first heartbeat on."""
        try:
            self._journal.keep_all(self._comparing.news())
            self._comparing.learn_prices()
        except VenueError as error:
            self._warn(UNANSWERED, str(error))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.end()
        self._thread.join(_GOODBYE_S)
        if not self._unanswered and self.looks and not self._thread.is_alive():
            with suppress(VenueError):
                self._journal.keep_all(self._comparing.news())

    # -- on the engine's thread -----------------------------------------------------------------------------------

    def refusal(self, market: str) -> str | None:
        """Why nothing may be entered on a market; None where all agree."""
        if self._failing:
            return f"the account could not be compared: {self._failing}"
        if self._rival:
            return f"another node trades the account: {self._rival}"
        if doubted := self._comparing.refused.of(market):
            return f"the account has not said yet whether {', '.join(doubted)} rests, which was refused"
        why = self._stopped.get(market)
        return None if why is None else f"journal, engine and venue differ: {why}"

    def turn(self, says: Callable[[], EngineSays], trading: Trading) -> None:
        """Hand over what the engine holds if it is asked for, and take what was found. Call it often: it is cheap.

        Parameters
        ----------
        says
            What the engine holds.
        trading
            Told of what was found.
        """
        doubts = self._comparing.refused.turn(trading.refused, trading.answered)
        waits = frozenset((market, plan.stage) for market, plan in trading.vanished.items())
        self._engine.turn(says, hurry=doubts or not self._hurried.issuperset(waits))
        self._hurried = waits
        for words in self.prices.lacking():
            self._warn(UNVALUED, words)
        for entry in each(self._engine.entries):
            if entry.quantity:
                trading.found_filled(*entry)
            else:
                trading.conclude(entry.market, "unfilled")
        for look in each(self._engine.looks):
            self._take(look)
            trading.book(look.rows)
            for order_id in _to_ask(look.differences):
                trading.query(order_id)
            for market in _kind(look.differences, "unminded position"):
                trading.close_unminded(market)
            for market, reason in look.concluded.items():
                trading.conclude(market, reason)

    def _take(self, look: Look) -> None:
        if look.failure:
            self._unanswered += 1
            if self._unanswered == MOST_FAILURES:
                self._failing = look.failure
                self._warn(UNANSWERED, f"{look.failure}; nothing is entered until it is")
            return
        if self._failing:
            self._tell(AGREES, "the account answers again")
        self._unanswered, self._failing = 0, ""
        self.compared_at = time.monotonic()
        self.differences = dict.fromkeys(self._markets, 0) | Counter(one.market or ACCOUNT for one in look.differences)
        if look.rows:
            self._journal.keep_all(look.rows)
        now = {one.key: str(one) for one in look.differences}
        for key, words in now.items():
            if key not in self._told:
                self._warn(DIFFERS, words)
        stopped = {one.market: one.detail for one in look.differences if one.stops}
        self._rival = next((one.detail for one in look.differences if one.kind == "other node"), "")
        for market in sorted(self._stopped.keys() - stopped.keys()):
            self._tell(AGREES, f"{market}: entries go on")
        self._told, self._stopped = now, stopped
        self.settled = not stopped

    # -- on its own thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._engine.wait_for_engine()
        while not self._engine.ended:
            begun = time.monotonic()
            look = self._looked()
            self._engine.looks.put(look)
            self.looks, self.last_s = self.looks + 1, time.monotonic() - begun
            self._engine.wait(self._again_s if look.differences or look.failure else self._every_s)

    def _looked(self) -> Look:
        try:
            return self._comparing.look()
        except VenueError as error:
            self.failures += 1
            return Look(failure=str(error))
        except Exception as error:  # a comparison that fails must not end the node, and must not pass for one
            _LOG.exception("reconciler")
            return Look(failure=f"{type(error).__name__}: {error}")


def _kind(differences: Sequence[Difference], kind: str) -> list[str]:
    return [one.market for one in differences if one.kind == kind]


def _to_ask(differences: Sequence[Difference]) -> list[str]:
    """Orders that the engine alone has open, and whose end would explain to it the position that it lacks.

    Where its position is right already, it has made up a fill from that: told of the order, it would count it twice.
    """
    lacking = {one.market for one in differences if one.kind == "engine position"}
    return [one.subject for one in differences if one.kind == "engine order" and one.market in lacking]
