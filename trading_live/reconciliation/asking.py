"""What an account is asked for before journal and venue are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from trading_assets.core.candles import Market
from trading_assets.journal import find_events, newest_events, nothing
from trading_assets.store.tables import FILLS, ORDERS
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import Purpose, TradePlan
from trading_live.reconciliation.views import SINCE_BEFORE, JournalSays, Said, VenueSays
from trading_live.venues.account.contract import Account, VenueError, VenueFill, VenueOrder

_LATE: Final = timedelta(days=1)
"""A fill that the engine has made up may be stamped with the time at which it did."""

_TRIES: Final = 3
_LISTED_S: Final = 0.5
"""Between two of them, where a fill is not listed yet."""

NEWEST_FILLS: Final = 5_000
"""Journalled fills that the venue's are held against: those of the open trades are among them."""


class OwnIds(Protocol):
    """Whose an order is, by its client id."""

    def is_ours(self, order_id: str) -> bool:
        """Whether it is one of this account's node."""
        ...

    def of_trade(self, plan: TradePlan) -> str:
        """How the ids of all orders of a trade begin."""
        ...

    def purpose_of(self, order_id: str) -> Purpose | None:
        """What one of our orders is for."""
        ...


def journalled_fills(path: Path) -> list[dict[str, object]]:
    """The rows of the session's newest fills: a replay that begins anew has the orders of the one before."""
    return newest_events(path, FILLS.name, NEWEST_FILLS, of_session=True).to_dicts()


def is_of_journal(path: Path, order_id: str) -> bool:
    """Whether an order with our prefix is this node's: the journal has it, or the entry of its trade.

    What protects is sent before it is journalled, so that a killed process may leave an order of a trade that is over
    by now. An entry is journalled before it is sent.
    """
    entry = OrderIds.entry_of(OrderIds.trade_of(order_id))
    return any(not find_events(path, ORDERS.name, "order_id", one).is_empty() for one in (order_id, entry))


def begin_of(
    market: str, journal: JournalSays, plans: Mapping[str, TradePlan], fees: Collection[str] = ()
) -> datetime | None:
    """From when on a market's fills can matter: what is held, its open trade or its oldest order; None without any.

    So do those of orders whose fees the journal may not have.
    """
    at = [journal.begun[market]] if market in journal.begun else []
    at += [one.ts - _LATE for order_id in fees for one in journal.filled.get(order_id, {}).values()]
    at += [one.ts for one in journal.orders.values() if one.market == market]
    plan = plans.get(market)
    if plan is not None:
        at.append(plan.known_at)
        at += [one.ts for order_id, _ in plan.orders() for one in journal.filled.get(order_id, {}).values()]
    return min(at) - SINCE_BEFORE if at else None


def ask(
    account: Account,
    journal: JournalSays,
    plans: Mapping[str, TradePlan],
    markets: Sequence[str],
    *,
    ours: Callable[[str], bool],
    also: Iterable[tuple[str, str]] = (),
    fees: Mapping[str, Collection[str]] = MappingProxyType({}),
    at_rest: bool = False,
) -> VenueSays:
    """Ask for all that rests, what became of orders that do not, the fills since, and what is held.

    Orders come first and positions last: what happens in between is seen as a fill, and never as a position that
    nobody explains.

    Parameters
    ----------
    account
        At the venue.
    journal, plans
        What may rest, and the open trades.
    markets
        That are compared.
    ours
        Whether an order is ours, by its client id.
    also
        (market, client id) of further orders to ask for.
    fees
        Market -> orders whose fills are asked for, to know their fees.
    at_rest
        Whether there is no second look: then fills and positions are asked for until nothing fills between them, and
        the fills of all that has filled are listed, for a moment at most.

    Raises
    ------
    VenueError
        If the venue does not answer, or at rest does not list what an order has filled.
    """
    resting = account.open_orders(markets)
    there = {one.client_id for one in resting}
    wanted = {(one.market, order_id) for order_id, one in journal.orders.items() if one.market in markets} | {*also}
    asked = {order_id: account.order(market, order_id) for market, order_id in sorted(wanted) if order_id not in there}
    begins = {market: begin_of(market, journal, plans, fees.get(market, ())) for market in markets}
    since = {market: at for market, at in begins.items() if at is not None}

    def booked() -> list[VenueFill]:
        return [fill for market, at in since.items() for fill in account.fills(market, at)]

    fills, held = booked(), holdings(account, markets)
    for _ in range(_TRIES if at_rest else 0):
        if unlisted := unlisted_fills(journal, asked.values(), fills):
            time.sleep(_LISTED_S)
        before, fills = len(fills), booked()
        if len(fills) == before and not unlisted:
            break
        held = holdings(account, markets)
    for order in unlisted_fills(journal, asked.values(), fills) if at_rest else ():
        raise VenueError(
            f"the order {order.client_id} has filled {order.filled:g}, and not all of its fills are listed yet",
            where=order.market,
            remedy="the next start asks again",
            answered=False,
        )
    asked |= {one: _by_fills(journal.orders[one], fills) for one in asked.keys() & journal.orders if not asked[one]}
    return VenueSays(resting, asked, fills, held, since)


def unlisted_fills(
    journal: JournalSays, orders: Iterable[VenueOrder | None], fills: Sequence[VenueFill]
) -> list[VenueOrder]:
    """Orders that have filled by their own word, and of which neither the journal nor the list of fills has as much.

    A venue may list a fill a moment after the order says that it has happened.
    """
    found = []
    for order in filter(None, orders):
        mine = (one for one in fills if one.client_id == order.client_id or _is_of(one, order))
        listed = sum(one.quantity for one in mine)
        known = abs(sum(one.signed for one in journal.filled.get(order.client_id, {}).values()))
        gap = order.filled - max(listed, known)
        if gap > 0 and not nothing(gap, order.filled):
            found.append(order)
    return found


def _by_fills(said: Said, fills: Sequence[VenueFill]) -> VenueOrder | None:
    """An order that is not found, as its fills tell of it; None without any: what has filled was there."""
    mine = [one for one in fills if one.client_id == said.order_id]
    if not mine:
        return None
    filled = sum(one.quantity for one in mine)
    lacking = said.quantity - filled
    return VenueOrder(
        said.order_id,
        mine[0].venue_id,
        said.market,
        mine[0].side,
        "stop" if said.order_type == "stop_market" else "market" if said.price is None else "limit",
        said.quantity,
        filled,
        price=said.price,
        stop_price=None,
        reduce_only=said.purpose != "entry",
        status="canceled" if lacking > 0 and not nothing(lacking, said.quantity) else "filled",
        ts=said.ts,
    )


def _is_of(fill: VenueFill, order: VenueOrder) -> bool:
    return (fill.market, fill.venue_id) == (order.market, order.venue_id)


def holdings(account: Account, markets: Sequence[str]) -> dict[str, float]:
    """Market -> base units held: of perpetuals the position, of spot what is owned of the base currency."""
    spot = [market for market in markets if is_spot(market)]
    held = dict.fromkeys(markets, 0.0)
    if len(spot) < len(markets):
        for position in account.positions():
            if position.market in held:
                held[position.market] += position.quantity
    if spot:
        owned = account.balances()
        held |= {market: owned.get(Market.parse(market).base, 0.0) for market in spot}
    return held


def is_spot(market: str) -> bool:
    """Whether what is held on a market is a balance."""
    return not Market.parse(market).is_derivative
