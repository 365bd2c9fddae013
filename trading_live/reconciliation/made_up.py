"""Fills that the engine made up, having lost their events: what the venue took for them, and at which prices.

It knows what an order adds up to, at its average price rounded to a tick, and nothing of what it cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from trading_assets.journal import TAKEN_BACK
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.views import SINCE_BEFORE, Filled
from trading_live.venues.account.contract import VenueFill

DUST: Final = 1e-9
"""Of a quantity: what sums of numbers in floating point may differ by."""
_LEAST: Final = 1e-7
"""Of money: a venue books no less."""


def made_up(
    order_id: str, market: str, done: Sequence[VenueFill], journalled: Mapping[str, Filled], since: datetime | None
) -> list[Difference]:
    """What an order with such fills differs in, whose quantity is right.

    Parameters
    ----------
    order_id, market
        The order.
    done
        Its fills at the venue, the oldest first.
    journalled
        Its fills in the journal, by their number there.
    since
        From when on the venue's fills are here; None for all. Nothing is said of an order that may have older ones.
    """
    invented = {trade: one for trade, one in journalled.items() if trade not in {fill.trade_id for fill in done}}
    if not invented or not (since is None or all(one.ts - SINCE_BEFORE >= since for one in journalled.values())):
        return []
    return _price(order_id, market, done, journalled, invented) or _fee(order_id, market, done, journalled)


def _price(
    order_id: str,
    market: str,
    done: Sequence[VenueFill],
    journalled: Mapping[str, Filled],
    invented: Mapping[str, Filled],
) -> list[Difference]:
    """The venue's fills in place of those made up, where these come to another value."""
    paid, known = _value(done), sum(one.signed * one.price for one in journalled.values())
    if abs(paid - known) <= max(_LEAST, DUST * abs(paid)):
        return []
    unseen = [one for one in done if one.trade_id not in journalled]
    quantity, of_them = sum(one.signed for one in done), sum(one.signed for one in invented.values())
    if abs(sum(one.signed for one in unseen) - of_them) > DUST * abs(quantity):
        return []  # a part of a fill is journalled: it cannot be booked again
    back = [_taken_back(trade, one, (*unseen, *done)[0]) for trade, one in invented.items()]
    detail = f"{order_id} {paid / quantity:.8g} at the venue, {known / quantity:.8g} in the journal"
    return [Difference("unseen price", market, order_id, detail, (*back, *unseen))]


def _taken_back(trade_id: str, one: Filled, like: VenueFill) -> VenueFill:
    side: Literal["buy", "sell"] = "sell" if one.signed > 0 else "buy"
    return replace(
        like,
        trade_id=f"{TAKEN_BACK}{trade_id}",
        side=side,
        quantity=abs(one.signed),
        price=one.price,
        fee=-one.fee,
        fee_currency=one.currency or like.fee_currency,
    )


def _fee(order_id: str, market: str, done: Sequence[VenueFill], journalled: Mapping[str, Filled]) -> list[Difference]:
    """What the venue took: fills that are made up have no fee, or a guessed one."""
    currencies = {one.fee_currency for one in done} | {one.currency for one in journalled.values() if one.fee}
    if len(currencies) != 1:
        return []
    paid, known = sum(one.fee for one in done), sum(one.fee for one in journalled.values())
    if abs(paid - known) <= max(_LEAST, DUST * abs(paid)):
        return []
    fee = replace(done[-1], quantity=0.0, fee=paid - known)
    detail = f"{order_id} {paid:g} {fee.fee_currency} at the venue, {known:g} in the journal"
    return [Difference("unseen fee", market, order_id, detail, (fee,))]


def _value(fills: Sequence[VenueFill]) -> float:
    return sum(one.signed * one.price for one in fills)
