"""What differs between journal and venue as rows of the journal: what the rules say of each kind."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from trading_assets.core.candles import Market
from trading_assets.journal import TAKEN_BACK, MarketState, PriceOf, fee_price
from trading_assets.store.tables import FILLS, ORDERS
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.orders.venue_orders import FOUND
from trading_live.reconciliation.differences import ELSEWHERE, Difference
from trading_live.reconciliation.views import JournalSays
from trading_live.venues.account.contract import VenueFill, VenueOrder

type Rows = list[tuple[str, dict[str, Any]]]

LIVE: Final = "live"
"""What ``fills.filled_by`` says of fills at a venue."""

_LATELY: Final = timedelta(minutes=15)
NEVER_HAD: Final = "the venue has never had it"
_ENDED: Final = {"filled": "filled", "canceled": "canceled", "expired": "expired", "rejected": "rejected"}


def settled(
    differences: Sequence[Difference],
    journal: JournalSays,
    markets: Mapping[str, MarketState],
    now: datetime,
    known: PriceOf | None = None,
) -> Rows:
    """The rows that make the journal say what the venue does; the same ones make no second change.

    Parameters
    ----------
    differences
        As :func:`~trading_live.reconciliation.comparison.compare` found them.
    journal
        What was compared.
    markets
        The journal's own state, for what a closed position was bought at.
    now
        The venue's time, for what has none of its own.
    known
        What coins are worth now that a venue takes fees in; it says nothing of fills of a while ago.
    """
    rows: Rows = []

    def worth(fill: VenueFill) -> PriceOf | None:
        return known if now - fill.ts <= _LATELY else None

    ended = {one.subject for one in differences if one.kind == "ended order"}
    for one in differences:
        if one.kind in ("unseen fill", "unseen price"):
            signal = journal.signals.get(one.subject) or journal.trading.get(one.market, "")
            rows += [_fill_row(fill, one.subject, signal, worth(fill)) for fill in one.fills]
            rows += _filled_by(one, journal, ended, signal, now)
        elif one.kind == "unseen fee":
            rows += [_fee_row(fill, one.subject, journal, worth(fill), now) for fill in one.fills]
        elif one.kind == "ended order" and one.said is not None and one.order is not None:
            rows.append(_order_row(one, _ENDED[one.order.status], FOUND, now))
        elif one.kind == "lost order" and one.said is not None:
            rows.append(_order_row(one, "rejected", NEVER_HAD, now))
        elif one.kind == "unwritten order" and one.order is not None:
            signal = journal.trading.get(one.market, "")
            rows += [unwritten_order(one.order, signal, status, now) for status in ("initialized", "accepted")]
        elif one.kind == "doubled fill":
            rows.append(_taken_back(one, journal, now))
        elif one.kind == "closed elsewhere":
            rows += _closed_elsewhere(one, journal, markets, now)
    return sorted(rows, key=lambda row: row[1]["ts"])


def _filled_by(one: Difference, journal: JournalSays, ended: Collection[str], signal: str, now: datetime) -> Rows:
    """That an order has ended, where what was not seen of it is the rest: asked a moment before, it still rested.

    One that the journal does not have was sent by a process that died before it could write of it.
    """
    said, known = one.said, journal.filled.get(one.subject, {})
    if one.subject in ended or (said is None and known):
        return []
    if said is None:
        return [_sent_unwritten(one, signal, now)]
    filled = abs(one.amount + sum(fill.signed for fill in known.values()))
    return [_order_row(one, "filled", FOUND, now)] if filled >= said.quantity * (1 - 1e-9) else []


def _sent_unwritten(one: Difference, signal: str, now: datetime) -> tuple[str, dict[str, Any]]:
    first = one.fills[0]
    quantity = sum(fill.quantity for fill in one.fills)
    order = VenueOrder(
        one.subject,
        first.venue_id,
        one.market,
        first.side,
        "market",
        quantity,
        quantity,
        None,
        None,
        True,
        "filled",
        now,
    )
    return unwritten_order(order, signal, "filled", now)


def unwritten_order(order: VenueOrder, signal: str, status: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """An order of ours as the venue has it: the journal has never had it."""
    return ORDERS.name, {
        "event_id": f"compared:{order.client_id}:{status}",
        "ts": now,
        "market": order.market,
        "order_id": order.client_id,
        "signal_id": signal,
        "purpose": OrderIds.purpose_in(order.client_id),
        "side": order.side,
        "order_type": "stop_market" if order.kind == "stop" else order.kind,
        "quantity": order.quantity,
        "price": order.stop_price or order.price,
        "status": status,
        "reason": FOUND,
        "venue_order_id": order.venue_id,
    }


def _fee_row(
    fee: VenueFill, order_id: str, journal: JournalSays, known: PriceOf | None, now: datetime
) -> tuple[str, dict[str, Any]]:
    """A fill of nothing, which carries what the venue took: quantity and value of the order are right as they are."""
    signal = journal.signals.get(order_id) or journal.trading.get(fee.market, "")
    booked = replace(fee, trade_id=f"fee-{now:%Y%m%dT%H%M%S.%f}")
    return _fill_row(booked, order_id, signal, known)


def _closed_elsewhere(one: Difference, journal: JournalSays, markets: Mapping[str, MarketState], now: datetime) -> Rows:
    signal = journal.trading.get(one.market, "")
    rows = [_fill_row(fill, f"{ELSEWHERE}{fill.venue_id}", signal) for fill in one.fills]
    lacking = abs(one.amount) - sum(fill.quantity for fill in one.fills)
    state = markets.get(one.market)
    holding = state.holding(one.market) if state is not None else None
    if holding is not None and lacking > abs(one.amount) * 1e-9:
        trade = f"adjusted-{now:%Y%m%dT%H%M%S.%f}"
        made_up = _made_up(one.market, trade, math.copysign(lacking, one.amount), holding.average_price, now)
        rows.append(_fill_row(made_up, f"{ELSEWHERE}{trade}", signal))
    return rows


def _taken_back(one: Difference, journal: JournalSays, now: datetime) -> tuple[str, dict[str, Any]]:
    signal = journal.signals.get(one.subject) or journal.trading.get(one.market, "")
    trade = f"{TAKEN_BACK}{now:%Y%m%dT%H%M%S.%f}"
    return _fill_row(_made_up(one.market, trade, one.amount, one.price, now), one.subject, signal)


def _made_up(market: str, trade_id: str, signed: float, price: float, ts: datetime) -> VenueFill:
    """A fill that the venue has not booked, by which the journal comes to hold what the venue does."""
    side: Literal["buy", "sell"] = "buy" if signed > 0 else "sell"
    return VenueFill(trade_id, "", trade_id, market, side, abs(signed), price, 0.0, Market.parse(market).quote, "", ts)


def _fill_row(
    fill: VenueFill, order_id: str, signal_id: str, known: PriceOf | None = None
) -> tuple[str, dict[str, Any]]:
    return FILLS.name, {
        "event_id": f"{order_id}:{fill.trade_id}",
        "ts": fill.ts,
        "market": fill.market,
        "order_id": order_id,
        "trade_id": fill.trade_id,
        "signal_id": signal_id,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "fee_currency": fill.fee_currency,
        "filled_by": LIVE,
        "fee_price": fee_price(fill.market, fill.fee_currency, fill.price, known),
    }


def _order_row(one: Difference, status: str, reason: str, now: datetime) -> tuple[str, dict[str, Any]]:
    said = one.said
    assert said is not None  # of an order that the journal has
    return ORDERS.name, {
        "event_id": f"compared:{said.order_id}:{status}",
        "ts": now,
        "market": said.market,
        "order_id": said.order_id,
        "signal_id": said.signal_id,
        "purpose": said.purpose,
        "side": said.side,
        "order_type": said.order_type,
        "quantity": said.quantity,
        "price": said.price,
        "status": status,
        "reason": reason,
    }
