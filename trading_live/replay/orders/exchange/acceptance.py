"""Whether the account takes an order: its position mode, what it holds, what it can pay; and the symbol's filters."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from trading_live.replay.orders.exchange.matching import slipped
from trading_live.replay.orders.exchange.model import ZERO, Conditional, Order, Refusal

if TYPE_CHECKING:
    from trading_live.replay.orders.exchange.state import Exchange


def order_refusal(exchange: Exchange, order: Order) -> Refusal | None:
    """Why an order is not taken into the book; None where it is."""
    mark = exchange.prices[order.symbol]
    if refusal := _mode_refusal(exchange, order) or exchange.filters[order.symbol].refusal(order, mark):
        return refusal
    if any(one.client_id == order.client_id for one in exchange.open_orders()):
        return Refusal(-4116, "ClientOrderId is duplicated.")
    if order.kind == "MARKET" and (refusal := _far(exchange, order, mark)):
        return refusal
    reducible = exchange.reducible(order)
    if order.reduce_only:
        return None if reducible else Refusal(-2022, "ReduceOnly Order is rejected.")
    held = exchange.ledger.position(order.symbol, order.position_side).quantity
    if abs(held + order.sign * order.quantity) * mark > exchange.filters[order.symbol].max_position:
        return Refusal(-2027, "Exceeded the maximum allowable position at current leverage.")
    opens = max(order.quantity - reducible, ZERO) * (order.price or mark)
    if opens / exchange.modes[order.symbol].leverage > exchange.standing().available:
        return Refusal(-2019, "Margin is insufficient.")
    return None


def waiting_refusal(exchange: Exchange, order: Conditional) -> Refusal | None:
    """Why a conditional order is not taken; whether it can be paid is asked when it is triggered."""
    price = exchange.prices[order.symbol]
    if refusal := _mode_refusal(exchange, order) or exchange.filters[order.symbol].refusal(order, price):
        return refusal
    if any(one.client_id == order.client_id for one in exchange.waiting()):
        return Refusal(-4116, "ClientOrderId is duplicated.")
    if (price >= order.trigger) if order.rises else (price <= order.trigger):
        return Refusal(-2021, "Order would immediately trigger.")
    return None


def _far(exchange: Exchange, order: Order, mark: Decimal) -> Refusal | None:
    rules = exchange.filters[order.symbol]
    if abs(slipped(mark, order.side, exchange.terms, rules.tick, order.id) - mark) <= mark * rules.band:
        return None
    return Refusal(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")


def _mode_refusal(exchange: Exchange, order: Order | Conditional) -> Refusal | None:
    if exchange.hedged == (order.position_side == "BOTH"):
        return Refusal(-4061, "Order's position side does not match user's setting.")
    if exchange.hedged and order.reduce_only:
        return Refusal(-1106, "Parameter 'reduceonly' sent when not required.")
    return None
