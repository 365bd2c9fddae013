"""Closes what is ours at the venue with no node running: positions first, then the orders that rest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from trading_live.reconciliation.asking import holdings, is_spot
from trading_live.reconciliation.comparison import kept_of
from trading_live.venues.account.contract import Account, VenueError, VenueOrder

_LOG: Final = structlog.get_logger(__name__)
SECONDS: Final = 10.0
_UNHEARD_S: Final = 60.0
"""How long a venue is asked that says nothing of what is held."""
_PAUSE_S: Final = 0.2
_DUST: Final = 1e-9


@dataclass(slots=True)
class Sent:
    """A closing order of which the end is not known yet.

    Attributes
    ----------
    quantity
        Of the position that it closes, signed.
    before
        What was held when it was sent.
    order
        What the venue says of it; None while it says nothing.
    """

    client_id: str
    quantity: float
    before: float
    order: VenueOrder | None = None

    def closed(self, actual: float) -> float:
        """What it has closed so far, signed: by its own word or, where that is late, by what is held less since."""
        gone = (self.before - actual) * math.copysign(1.0, self.quantity)
        told = self.order.filled if self.order is not None else 0.0
        return math.copysign(min(max(gone, told, 0.0), abs(self.quantity)), self.quantity)


@dataclass(slots=True)
class Flattened:
    """What came of one market.

    Attributes
    ----------
    market
        Where.
    closed
        The orders that closed something.
    canceled
        Client ids of the orders that rested.
    left
        Base units of ours that are still held, by the venue's last word.
    problem
        What the venue said last against it, or what nobody can know; empty where nothing.
    begun
        Base units that were ours before the orders in ``closed``, signed; None before the first look.
    actual
        What the account holds, by the last look.
    sent
        The newest closing order, while its end is not known.
    """

    market: str
    closed: list[VenueOrder] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)
    left: float = 0.0
    problem: str = ""
    begun: float | None = None
    actual: float = 0.0
    sent: Sent | None = None

    @property
    def is_flat(self) -> bool:
        """Whether nothing of ours is held, and nothing went wrong."""
        return not self.left and not self.problem

    def hear(self, order: VenueOrder) -> None:
        """What the venue says of the order that was sent."""
        if order.status != "open":
            self.closed.append(order)
            self.sent = None
        elif self.sent is not None:
            self.sent.order = order


def flatten_account(
    account: Account,
    markets: Sequence[str],
    *,
    ours: Callable[[str], bool],
    held: Mapping[str, float] | None = None,
    seconds: float = SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[Flattened]:
    """Close the positions and cancel the orders of ours on these markets; what a stranger has there is left alone.

    An order of which no answer comes is asked about by its id before another is sent, and what is held less since
    counts as closed by it: a second one would close what is not ours. What goes wrong on one market keeps no other one
    open.

    Parameters
    ----------
    account
        At the venue.
    markets
        That the node traded.
    ours
        Whether an order is ours, by its client id.
    held
        Market -> base units of ours, negative for a short position, as the journal has it; None where no journal can be
        read: then all that is held on the markets is closed, and of a balance what our own sales rest for.
    seconds
        How long it is tried, from the first round on in which the venue said what is held.
    sleep, clock
        Time.
    """
    closing = _Closing(account, ours, held, {market: Flattened(market) for market in markets})
    deadline, heard, left = clock() + _UNHEARD_S, False, list(markets)
    while left:
        again = closing.round(left)
        if again is not None:
            left = again
            deadline, heard = deadline if heard else clock() + seconds, True
        if not left or clock() >= deadline:
            break
        sleep(_PAUSE_S)
    closing.end(left if heard else [])
    return list(closing.found.values())


@dataclass(frozen=True, slots=True)
class _Closing:
    """What :func:`flatten_account` was asked for, and what has come of it so far."""

    account: Account
    ours: Callable[[str], bool]
    held: Mapping[str, float] | None
    found: Mapping[str, Flattened]

    def round(self, markets: Sequence[str]) -> list[str] | None:
        """Close on all markets, then cancel on all; where something is still to be done or to be seen.

        None where the venue does not say what is held.
        """
        several = [self.found[market] for market in markets]
        for one in several:
            one.problem = ""
        if not self._look(several):
            return None
        several.sort(key=lambda one: not one.left)
        again = {one.market for one in several if one.left}
        for step in (_close, _clear):
            for one in (one for one in several if not one.problem):
                with _problem_of(one):
                    if step(self.account, one, self.ours):
                        again.add(one.market)
        return [one.market for one in several if one.market in again or one.problem]

    def end(self, markets: Sequence[str]) -> None:
        """See what the last round has left on these markets, and say what is not closed."""
        self._look([self.found[market] for market in markets])
        for one in self.found.values():
            if self.held is None and is_spot(one.market) and one.begun == 0.0:
                with _problem_of(one):
                    if self.account.closable(one.market, one.actual):
                        one.problem = f"{one.actual:g} is owned, and no journal says what of it is ours"
            if not one.is_flat:
                _LOG.error("not flat", market=one.market, left=one.left, problem=one.problem)

    def _look(self, several: Sequence[Flattened]) -> bool:
        """Ask what is held, what has become of the closing orders, and so what is left; whether the venue answered."""
        try:
            actual = holdings(self.account, [one.market for one in several])
        except VenueError as error:
            for one in several:
                one.problem = str(error)
            return False
        for one in several:
            one.actual = actual[one.market]
            with _problem_of(one):
                if one.sent is not None and (order := self.account.order(one.market, one.sent.client_id)) is not None:
                    one.hear(order)
                if one.begun is None:
                    one.begun = _begun(self.account, one, self.ours, self.held)
                one.left = _ours(one, known=self.held is not None)
                if one.left:
                    one.left = self.account.closable(one.market, one.left)
        return True


@contextmanager
def _problem_of(one: Flattened) -> Iterator[None]:
    """What the venue says against it is the market's problem, and no other one's."""
    try:
        yield
    except VenueError as error:
        one.problem = str(error)


def close_once(account: Account, one: Flattened, ours: Callable[[str], bool]) -> None:
    """Close what is ``left`` on one market, and cancel our orders.

    Raises
    ------
    VenueError
        If the venue refuses a request, or does not answer it.
    """
    if one.left:  # before anything is canceled: what cannot be sold keeps its stop
        one.left = account.closable(one.market, one.left)
    _close(account, one, ours)
    _clear(account, one, ours)


def _close(account: Account, one: Flattened, ours: Callable[[str], bool]) -> int:
    """Send what closes it, once what rests and binds a balance is canceled; how many orders rested."""
    resting = _cancel(account, one, ours) if is_spot(one.market) else 0
    if one.left:
        _send(account, one)
    return resting


def _clear(account: Account, one: Flattened, ours: Callable[[str], bool]) -> int:
    """Cancel what has protected a position; how many orders rested."""
    return 0 if is_spot(one.market) else _cancel(account, one, ours)


def _send(account: Account, one: Flattened) -> None:
    """Send a closing order, unless an earlier one that the venue has may still fill."""
    if one.sent is not None and one.sent.order is not None:
        return
    if one.sent is not None and one.begun is not None:  # the venue does not have it: another takes its place
        one.begun -= one.sent.closed(one.actual)
    one.sent = Sent(account.new_id(), one.left, one.actual)
    try:
        one.hear(account.close(one.market, one.left, one.sent.client_id))
    except VenueError as error:
        if error.answered:
            one.sent = None
        raise


def _begun(
    account: Account,
    one: Flattened,
    ours: Callable[[str], bool],
    held: Mapping[str, float] | None,
) -> float:
    """What was ours before anything was closed: of a balance that no journal explains, what our sales rest for."""
    if held is not None:
        return held.get(one.market, 0.0)
    if not is_spot(one.market):
        return one.actual
    resting = [order for order in account.open_orders([one.market]) if ours(order.client_id)]
    return sum(order.quantity - order.filled for order in resting if order.side == "sell")


def _ours(one: Flattened, *, known: bool) -> float:
    """What of a position is ours and still open; ``known`` by a journal."""
    if not known and not is_spot(one.market):
        return one.actual
    begun = one.begun or 0.0
    rest = begun + sum(order.filled * (1 if order.side == "buy" else -1) for order in one.closed)
    if one.sent is not None:
        rest -= one.sent.closed(one.actual)
    return 0.0 if abs(rest) <= _DUST * abs(begun) else kept_of(rest, one.actual)


def _cancel(account: Account, one: Flattened, ours: Callable[[str], bool]) -> int:
    """Cancel our orders on one market; how many rested."""
    orders = [order for order in account.open_orders([one.market]) if ours(order.client_id)]
    for order in orders:
        if account.cancel(order.market, order.client_id):
            one.canceled.append(order.client_id)
    return len(orders)
