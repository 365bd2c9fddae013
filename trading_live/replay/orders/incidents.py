"""Faults that the account itself commits: what happens to symbols, and to orders after they were answered."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from trading_live.replay.faults import Fault
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.candles import trigger
from trading_live.replay.orders.exchange.closing import liquidate, settle
from trading_live.replay.orders.exchange.model import Conditional, Order


def befall(exchange: Exchange, fault: Fault, now_ms: int) -> None:
    """Let something happen to a symbol, or to all.

    Parameters
    ----------
    exchange
        The account, with the filters of its symbols.
    fault
        One of the kinds that concern symbols.
    now_ms
        Market time.
    """
    for symbol in [fault.symbol] if fault.symbol else list(exchange.filters):
        former = exchange.filters[symbol]
        match fault.fault:
            case "settling":
                exchange.filters[symbol] = replace(former, status="SETTLING")
            case "delisted":
                settle(exchange, symbol, now_ms)
                exchange.filters[symbol] = replace(former, status="CLOSE")
            case "tick_size":
                exchange.filters[symbol] = replace(former, tick=Decimal(str(fault.tick or former.tick)))
            case "liquidation":
                for position in [one for one in exchange.ledger.held() if one.symbol == symbol]:
                    liquidate(exchange, position, exchange.prices[symbol], now_ms)


def end_again(exchange: Exchange, answer: Any, now_ms: int) -> None:
    """End an order that was just accepted, as the venue does when its second look fails."""
    order = _order_of(exchange, answer)
    if isinstance(order, Conditional) and order.open:
        exchange.tell(replace(order, status="REJECTED", reason="Order was rejected by the matching engine."), now_ms)
    elif isinstance(order, Order) and order.open:
        exchange.end(order.id, "EXPIRED", now_ms)


def fill_instead(exchange: Exchange, order: Order | Conditional, now_ms: int) -> None:
    """Fill an order of which a cancel is about to be confirmed."""
    if isinstance(order, Conditional):
        trigger(exchange, order, order.trigger, now_ms)
    else:
        quantity = min(order.rest, exchange.reducible(order)) if order.reduce_only else order.rest
        if quantity:
            exchange.fill(order.id, quantity, order.price, now_ms, maker=True)
        if exchange.orders[order.id].open:  # nothing of it rests, whatever the answer says
            exchange.end(order.id, "EXPIRED", now_ms)


def _order_of(exchange: Exchange, answer: Any) -> Order | Conditional | None:
    if not isinstance(answer, dict):
        return None
    return exchange.conditionals.get(answer.get("algoId", 0)) or exchange.orders.get(answer.get("orderId", 0))
