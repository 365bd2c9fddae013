"""What a closed candle does to an account: triggers, fills, liquidation, in the order of its path. No I/O."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from trading_live.replay.orders.exchange.closing import liquidate, liquidated, warn
from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.matching import Path, Reach, path, reach, whole
from trading_live.replay.orders.exchange.model import ZERO, Bar, Conditional, Order
from trading_live.replay.orders.exchange.state import Exchange


def play(exchange: Exchange, bar: Bar) -> None:
    """Match an account's orders of a symbol with a candle that has closed."""
    exchange.advance(bar.close_ms)
    held = sum((one.quantity for one in exchange.ledger.held() if one.symbol == bar.symbol), ZERO)
    way = path(bar, held, exchange.terms.touch)
    left = whole(bar.volume * Decimal(str(exchange.terms.volume_share)), exchange.filters[bar.symbol].step)
    for order in [one for one in exchange.open_orders(bar.symbol) if one.kind == "MARKET"]:
        exchange.take(order.id, bar.open, bar.close_ms)
    done: set[int] = set()
    while (found := _next(exchange, bar.symbol, way, done)) is not None:
        at, one = found
        if isinstance(one, Position):
            liquidate(exchange, one, at.price, bar.close_ms)
        elif isinstance(one, Conditional):
            done.add(one.id)
            made = trigger(exchange, one, at.price, bar.close_ms)
            done |= set() if made is None else {made}
        else:
            done.add(one.id)
            left -= _rest(exchange, one, left, bar.close_ms)
    exchange.prices[bar.symbol], exchange.volumes[bar.symbol] = bar.close, bar.volume
    warn(exchange, bar.close_ms)


def _next(
    exchange: Exchange, symbol: str, way: Path, done: set[int]
) -> tuple[Reach, Order | Conditional | Position] | None:
    """What the path reaches first of all that waits for a price."""
    waiting: list[tuple[Reach | None, int, Order | Conditional | Position]] = [
        *((reach(way, one.trigger, rising=one.rises), 0, one) for one in exchange.waiting(symbol)),
        *((reach(way, one.price, rising=one.side == "SELL"), 1, one) for one in exchange.open_orders(symbol)),
        *((liquidated(exchange, one, way), 2, one) for one in exchange.ledger.held() if one.symbol == symbol),
    ]
    found = [
        (at, rank, one)
        for at, rank, one in waiting
        if at is not None and (isinstance(one, Position) or one.id not in done)
    ]
    if not found:
        return None
    at, _, first = min(found, key=lambda entry: (entry[0].leg, entry[0].distance, entry[1]))
    return at, first


def _rest(exchange: Exchange, order: Order, left: Decimal, now_ms: int) -> Decimal:
    """Fill a resting limit order at its price, with at most what is left of the volume; what it took."""
    quantity = min(order.rest, left)
    if order.reduce_only:
        quantity = min(quantity, exchange.reducible(order))
    if quantity > 0:
        exchange.fill(order.id, quantity, order.price, now_ms, maker=True)
    return max(quantity, ZERO)


def trigger(exchange: Exchange, one: Conditional, price: Decimal, now_ms: int) -> int | None:
    """Make an order of a conditional one whose price is reached; its number, unless it is rejected."""
    exchange.tell(replace(one, status="TRIGGERING", triggered_ms=now_ms), now_ms)
    one = exchange.conditionals[one.id]
    reducible = exchange.reducible(one)
    if (one.reduce_only or one.close_position) and not reducible:
        exchange.tell(replace(one, status="REJECTED", reason="ReduceOnly Order is rejected."), now_ms)
        return None
    number = exchange.number()
    order = Order(
        *(number, one.client_id, one.symbol, one.side, "LIMIT" if one.limited else "MARKET"),
        quantity=reducible if one.close_position else one.quantity,
        created_ms=now_ms,
        updated_ms=now_ms,
        price=one.price if one.limited else ZERO,
        time_in_force=one.time_in_force,
        reduce_only=one.reduce_only,
        close_position=one.close_position,
        position_side=one.position_side,
        origin=one.kind,
        stop_price=one.trigger,
        working_type=one.working_type,
        parent=one.id,
    )
    exchange.tell(replace(one, status="TRIGGERED", order_id=number), now_ms)
    exchange.put(order, "NEW", now_ms)
    if not one.limited or order.sign * (order.price - price) >= 0:
        exchange.take(number, price, now_ms)
    exchange.tell(replace(exchange.conditionals[one.id], status="FINISHED"), now_ms, exchange.orders[number])
    return number
