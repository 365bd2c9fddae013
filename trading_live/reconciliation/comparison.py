"""Journal, engine and venue side by side: what differs.

Nothing here asks, writes or cancels: it is told what the three say, and answers with what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from trading_assets.journal import nothing
from trading_live.reconciliation.differences import BY_COMMAND, BY_VENUE, ELSEWHERE, Difference
from trading_live.reconciliation.made_up import DUST, made_up
from trading_live.reconciliation.views import SINCE_BEFORE, EngineSays, JournalSays, VenueSays
from trading_live.venues.account.contract import VenueFill, VenueOrder

_CENT: Final = 0.005
_SPOT_FEES: Final = 0.01
"""Spot fees may be taken from what was bought."""


def compare(
    journal: JournalSays,
    engine: EngineSays | None,
    venue: VenueSays,
    *,
    markets: Sequence[str],
    ours: Callable[[str], bool],
    explains: Callable[[VenueOrder], bool] = lambda _: False,
    spot: Callable[[str], bool] = lambda _: False,
) -> list[Difference]:
    """What differs on these markets.

    Parameters
    ----------
    journal, engine, venue
        What each says; without an engine, before it has started.
    markets
        That are compared.
    ours
        Whether an order is ours, by its client id.
    explains
        Whether an open trade of the journal explains an order that rests and is not journalled: its id is of that
        trade, and the strategy takes it over.
    spot
        Whether a market's position is a balance.
    """
    found = list[Difference]()
    for market in markets:
        fills = [one for one in venue.fills if one.market == market]
        mine = [one for one in fills if ours(one.client_id)]
        unseen = _fills(journal, market, mine, venue.since.get(market))
        found += unseen
        found += _orders(journal, engine, venue, market, ours, explains)
        known, gap = journal.held.get(market, 0.0), sum(one.amount for one in unseen)
        expected = 0.0 if nothing(known + gap, abs(known) + abs(gap)) else known + gap
        others = [one for one in fills if not ours(one.client_id)]
        found += _position(journal, venue, market, expected, others, spot=spot(market))
        if engine is not None and market not in engine.apart:
            found += _engine(journal, engine, venue, market, ours, spot=spot(market))
    return found


def unminded(
    journal: JournalSays,
    venue: VenueSays,
    minded: Collection[str],
    *,
    markets: Sequence[str],
    spot: Callable[[str], bool] = lambda _: False,
) -> list[Difference]:
    """Positions that are ours by the books and that no open trade minds: nothing would ever stop them."""
    found = []
    for market in markets:
        ours = kept_of(journal.held.get(market, 0.0), venue.held.get(market, 0.0))
        if ours and market not in minded and not spot(market):
            found.append(Difference("unminded position", market, market, f"{ours:+g}", amount=ours))
    return found


# -- fills ------------------------------------------------------------------------------------------------------------


def _fills(journal: JournalSays, market: str, fills: Sequence[VenueFill], since: datetime | None) -> list[Difference]:
    """Fills of our orders that the journal lacks, or has twice; an order at a time.

    An engine that has lost a fill's event makes one up from what the order adds up to, under another trade id: it is
    the order's quantity that must agree, and only what is lacking of it is journalled.
    """
    by_order: dict[str, list[VenueFill]] = {}
    for fill in fills:
        by_order.setdefault(fill.client_id, []).append(fill)
    found = []
    for order_id, done in by_order.items():
        journalled = journal.filled.get(order_id, {})
        total = sum(one.signed for one in done)
        gap = total - sum(one.signed for one in journalled.values())
        if nothing(gap, abs(total)) or abs(gap) <= DUST * abs(total):
            found += made_up(order_id, market, done, journalled, since)
            continue
        said = journal.orders.get(order_id)
        if gap * total > 0:
            lacking = _newest(abs(gap), [one for one in done if one.trade_id not in journalled])
            words = ", ".join(f"{one.side} {one.quantity:g} at {one.price:g}" for one in lacking)
            amount = sum(one.signed for one in lacking)
            if lacking:
                detail = f"{order_id} {words}"
                found.append(Difference("unseen fill", market, order_id, detail, lacking, said=said, amount=amount))
        elif since is None or all(one.ts - SINCE_BEFORE >= since for one in journalled.values()):
            average = sum(one.signed * one.price for one in journalled.values()) / (total - gap)
            detail = f"{order_id} {total - gap:+g} in the journal, {total:+g} at the venue"
            found.append(Difference("doubled fill", market, order_id, detail, said=said, amount=gap, price=average))
    return found


def _newest(quantity: float, fills: Sequence[VenueFill]) -> tuple[VenueFill, ...]:
    """The newest fills that come to a quantity, the oldest of them cut to it; the oldest first."""
    taken, left = list[VenueFill](), quantity
    for fill in reversed(fills):
        if left <= 0 or nothing(left, quantity):
            break
        share = min(left / fill.quantity, 1.0)
        part = fill if share > 1 - DUST else replace(fill, quantity=left, fee=fill.fee * share)
        taken.append(part)
        left -= part.quantity
    return tuple(reversed(taken))


# -- orders -----------------------------------------------------------------------------------------------------------


def _orders(
    journal: JournalSays,
    engine: EngineSays | None,
    venue: VenueSays,
    market: str,
    ours: Callable[[str], bool],
    explains: Callable[[VenueOrder], bool],
) -> list[Difference]:
    found, resting = list[Difference](), {one.client_id for one in venue.orders if one.market == market}
    for order_id, said in journal.orders.items():
        if said.market != market or order_id in resting or order_id not in venue.asked:
            continue
        order = venue.asked[order_id]
        if order is None:
            detail = f"{said.purpose} {order_id} of {said.quantity:g}"
            found.append(Difference("lost order", market, order_id, detail, said=said))
        elif order.status != "open":
            detail = f"{said.purpose} {order_id} is {order.status}, {order.filled:g} of {order.quantity:g} filled"
            found.append(Difference("ended order", market, order_id, detail, order=order, said=said))
    for order in venue.orders:
        minded = engine is None or explains(order)
        if order.market != market or (order.client_id in journal.orders and minded):
            continue
        name = order.client_id or order.venue_id
        detail = f"{order.side} {order.kind} {name} of {order.quantity:g}"
        if not ours(order.client_id):
            found.append(Difference("foreign order", market, name, detail, order=order))
        elif not explains(order):
            found.append(Difference("unknown order", market, name, detail, order=order))
        elif engine is not None and order.client_id in engine.orders:
            found.append(Difference("unwritten order", market, name, detail, order=order))
    return found


# -- positions --------------------------------------------------------------------------------------------------------


def _position(
    journal: JournalSays,
    venue: VenueSays,
    market: str,
    expected: float,
    others: Sequence[VenueFill],
    *,
    spot: bool,
) -> list[Difference]:
    """What the venue holds beside what our fills come to.

    Where the venue holds less of our side, the lacking part was closed by another hand, or by the venue; where it holds
    more, or another side, the rest is not ours.
    """
    actual = venue.held.get(market, 0.0)
    scale = max(abs(expected), abs(actual))
    known = {trade for order_id, trades in journal.filled.items() if order_id.startswith(ELSEWHERE) for trade in trades}
    unknown = [one for one in others if one.trade_id not in known]
    commanded = _commanded(expected, unknown)
    if not commanded and (nothing(actual - expected, scale) or abs(actual - expected) <= DUST * scale):
        return []
    if spot and (expected <= 0 or actual >= expected * (1 - _SPOT_FEES)):
        return []  # what else is owned of a currency is nobody's position
    found, kept = list[Difference](), kept_of(expected - commanded, actual)
    gone = expected - kept
    if gone and not nothing(gone, abs(expected)):
        closing = [one for one in unknown if one.signed * gone < 0]
        fills = _newest(abs(gone), closing)
        explained = sum(one.quantity for one in fills)
        words = "by the venue" if fills and _by_venue(fills[-1]) else "by another hand"
        detail = f"{gone:+g} of {expected:+g} was closed {words if fills else 'and no fill says how'}"
        if not fills or explained < abs(gone) * (1 - DUST):
            detail += f"; {abs(gone) - explained:g} booked at the price of entry"
        found.append(Difference("closed elsewhere", market, market, detail, fills, amount=-gone))
    if not nothing(actual - kept, scale) and not spot:
        detail = f"{actual - kept:+g} is held beside ours of {kept:+g}"
        found.append(Difference("foreign position", market, market, detail))
    return found


def _commanded(expected: float, fills: Sequence[VenueFill]) -> float:
    """How much of what is ours a command has closed: that was ours, whoever else holds something beside it."""
    closed = -sum(one.signed for one in fills if one.client_id.startswith(BY_COMMAND) and one.signed * expected < 0)
    return closed if abs(closed) < abs(expected) * (1 - DUST) else expected if closed else 0.0


def kept_of(expected: float, actual: float) -> float:
    """What is still ours of a position of which the account holds so much."""
    if expected * actual <= 0:
        return 0.0
    return expected if abs(actual) > abs(expected) * (1 + DUST) else actual


def _by_venue(fill: VenueFill) -> bool:
    return fill.client_id.startswith(BY_VENUE)


# -- the engine -------------------------------------------------------------------------------------------------------


def _engine(
    journal: JournalSays,
    engine: EngineSays,
    venue: VenueSays,
    market: str,
    ours: Callable[[str], bool],
    *,
    spot: bool,
) -> list[Difference]:
    found, resting = list[Difference](), {one.client_id for one in venue.orders if one.market == market}
    held = {order_id for order_id, where in engine.orders.items() if where == market}
    flat = not any(one.get(market) for one in (journal.held, engine.held, venue.held))
    for order_id in sorted(held - resting):
        over = flat and order_id not in journal.orders
        found.append(
            Difference(
                "engine leftover" if over else "engine order",
                market,
                order_id,
                f"{order_id} rests by the engine, not at the venue",
            )
        )
    for order_id in sorted(one for one in resting - held if ours(one)):
        found.append(Difference("engine order", market, order_id, f"{order_id} rests at the venue, not by the engine"))
    by_engine, actual = engine.held.get(market, 0.0), venue.held.get(market, 0.0)
    if not spot and abs(by_engine - actual) > DUST * max(abs(by_engine), abs(actual)):
        detail = f"{by_engine:+g} by the engine, {actual:+g} at the venue"
        found.append(Difference("engine position", market, market, detail))
    return found


# -- the account ------------------------------------------------------------------------------------------------------


def compare_balances(
    journal: Mapping[str, float], paid: Mapping[str, float], venue: Mapping[str, float]
) -> list[Difference]:
    """Currencies whose balance is not what the journal's newest one and the payments since come to, to the cent.

    Parameters
    ----------
    journal
        Currency -> the newest journalled balance.
    paid
        Currency -> the sum of the payments since.
    venue
        Currency -> what the account owns now.
    """
    found = []
    for currency in sorted(journal):
        expected = journal[currency] + paid.get(currency, 0.0)
        drift = venue.get(currency, 0.0) - expected
        if abs(drift) >= _CENT:
            detail = f"{venue.get(currency, 0.0):,.2f} where {expected:,.2f} was expected: {drift:+,.2f} unexplained"
            found.append(Difference("balance", "", currency, detail))
    return found
