"""Closes what is ours at the venue with no node running: positions first, then the orders that rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from trading_live.reconciliation.asking import holdings, is_spot
from trading_live.reconciliation.comparison import kept_of
from trading_live.venues.account.contract import Account, VenueError, VenueOrder

_LOG: Final = structlog.get_logger(__name__)
SECONDS: Final = 10.0
_PAUSE_S: Final = 0.2
_DUST: Final = 1e-9


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
        Base units that were ours at the first look, signed; None before it.
    """

    market: str
    closed: list[VenueOrder] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)
    left: float = 0.0
    problem: str = ""
    begun: float | None = None

    @property
    def is_flat(self) -> bool:
        """Whether nothing of ours is held, and nothing went wrong."""
        return not self.left and not self.problem


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

    An order of which no answer comes is not sent again before the venue has said what is held: it can only make the
    position smaller, but of spot it would sell twice. What goes wrong on one market keeps no other one open.

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
        How long it is tried.
    sleep, clock
        Time.
    """
    found = {market: Flattened(market) for market in markets}
    deadline, open_markets = clock() + seconds, list(markets)
    while open_markets:
        open_markets = _round(account, open_markets, found, ours, held)
        if not open_markets or clock() >= deadline:
            break
        sleep(_PAUSE_S)
    for one in found.values():
        if not one.is_flat:
            _LOG.error("not flat", market=one.market, left=one.left, problem=one.problem)
    return list(found.values())


def _round(
    account: Account,
    markets: Sequence[str],
    found: Mapping[str, Flattened],
    ours: Callable[[str], bool],
    held: Mapping[str, float] | None,
) -> list[str]:
    """Close and cancel once; the markets on which something is still to be done or to be seen."""
    try:
        actual = holdings(account, markets)
    except VenueError as error:
        for market in markets:
            found[market].problem = str(error)
        return list(markets)
    again = []
    for market in sorted(markets, key=lambda one: not actual[one]):
        one = found[market]
        one.problem = ""
        try:
            if one.begun is None:
                one.begun = _begun(account, one, actual[market], ours, held)
            one.left = _ours(one, actual[market], known=held is not None)
            if close_once(account, one, ours):
                again.append(market)
            elif held is None and not one.begun and is_spot(market) and account.closable(market, actual[market]):
                one.problem = f"{actual[market]:g} is owned, and no journal says what of it is ours"
        except VenueError as error:
            one.problem = str(error)
            again.append(market)
    return again


def close_once(account: Account, one: Flattened, ours: Callable[[str], bool]) -> bool:
    """Close what is ``left`` on one market, and cancel our orders; whether there was anything to do.

    Raises
    ------
    VenueError
        If the venue refuses a request, or does not answer it.
    """
    spot, resting = is_spot(one.market), 0
    if one.left:  # before anything is canceled: what cannot be sold keeps its stop
        one.left = account.closable(one.market, one.left)
    if spot:  # what rests binds the balance
        resting = _cancel(account, one, ours)
    if one.left:
        one.closed.append(account.close(one.market, one.left))
    if not spot:
        resting = _cancel(account, one, ours)
    return bool(one.left or resting)


def _begun(
    account: Account,
    one: Flattened,
    actual: float,
    ours: Callable[[str], bool],
    held: Mapping[str, float] | None,
) -> float:
    """What was ours before anything was closed: of a balance that no journal explains, what our sales rest for."""
    if held is not None:
        return held.get(one.market, 0.0)
    if not is_spot(one.market):
        return actual
    resting = [order for order in account.open_orders([one.market]) if ours(order.client_id)]
    return sum(order.quantity - order.filled for order in resting if order.side == "sell")


def _ours(one: Flattened, actual: float, *, known: bool) -> float:
    """What of a position is ours and still open; ``known`` by a journal."""
    if not known and not is_spot(one.market):
        return actual
    begun = one.begun or 0.0
    sold = sum(order.filled * (1 if order.side == "buy" else -1) for order in one.closed)
    return 0.0 if abs(begun + sold) <= _DUST * abs(begun) else kept_of(begun + sold, actual)


def _cancel(account: Account, one: Flattened, ours: Callable[[str], bool]) -> int:
    """Cancel our orders on one market; how many rested."""
    orders = [order for order in account.open_orders([one.market]) if ours(order.client_id)]
    for order in orders:
        if account.cancel(order.market, order.client_id):
            one.canceled.append(order.client_id)
    return len(orders)
