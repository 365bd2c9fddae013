"""What the venue does to a position against its holder's will: liquidation, settlement, and the call for margin."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from trading_live.replay.orders.exchange.happenings import AccountChanged, Execution, MarginCalled, OrderChanged
from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.margin import isolated_margin, liquidation_price
from trading_live.replay.orders.exchange.matching import Path, Reach, reach, whole
from trading_live.replay.orders.exchange.model import CENT, LIQUIDATION_FEE, MAINTENANCE, ZERO, Fill, Order, Side
from trading_live.replay.orders.exchange.state import Exchange

_CALL: Final = Decimal("0.8")
"""Share of the equity that the maintenance margin may be before the holder is warned."""


def liquidated(exchange: Exchange, position: Position, way: Path) -> Reach | None:
    """Where the path of a candle reaches the price at which a position is liquidated."""
    others = [one for one in exchange.ledger.held() if one is not position]
    level = liquidation_price(position, others, exchange.ledger.balance, exchange.prices, exchange.modes)
    return reach(way, level, rising=position.quantity < 0) if level else None


def liquidate(exchange: Exchange, position: Position, price: Decimal, now_ms: int) -> None:
    """Close a position with the venue's fee; what the account cannot pay, the insurance fund does."""
    modes = exchange.modes[position.symbol]
    margin, before = isolated_margin(position, modes), exchange.ledger.balance
    cancel_all(exchange, position.symbol, now_ms)
    close(exchange, position, price, now_ms, name="autoclose", fee_rate=LIQUIDATION_FEE)
    lowest = before - margin if modes.margin == "ISOLATED" else ZERO
    missing = max(lowest - exchange.ledger.balance, ZERO).quantize(CENT, ROUND_HALF_EVEN)
    exchange.ledger.book("insurance", position.symbol, missing, now_ms)
    after = exchange.ledger.position(position.symbol, position.side)
    balance = exchange.ledger.balance
    exchange.happened.append(AccountChanged("INSURANCE_CLEAR", balance, missing, [(after, ZERO)], now_ms))


def settle(exchange: Exchange, symbol: str, now_ms: int) -> None:
    """Close what is open of a symbol that is delisted, at its newest price and without a fee."""
    cancel_all(exchange, symbol, now_ms)
    for position in exchange.ledger.held():
        if position.symbol == symbol:
            close(exchange, position, exchange.prices[symbol], now_ms, name="settlement_autoclose", fee_rate=ZERO)
            after = exchange.ledger.position(symbol, position.side)
            told = AccountChanged("ORDER", exchange.ledger.balance, ZERO, [(after, ZERO)], now_ms)
            exchange.happened.append(told)


def cancel_all(exchange: Exchange, symbol: str, now_ms: int) -> None:
    """End all orders of a symbol."""
    for order in exchange.open_orders(symbol):
        exchange.end(order.id, "CANCELED", now_ms)
    for one in exchange.waiting(symbol):
        exchange.cancel_waiting(one.id, now_ms)


def close(exchange: Exchange, position: Position, price: Decimal, now_ms: int, *, name: str, fee_rate: Decimal) -> None:
    """Trade a position away under an order of the venue's own, which the start of its client id names."""
    tick = exchange.filters[position.symbol].tick
    above = position.quantity < 0 and price % tick  # against the holder
    price = max(whole(price, tick) + (tick if above else ZERO), tick)
    number, trade = exchange.number(), exchange.number()
    side: Side = "SELL" if position.quantity > 0 else "BUY"
    quantity = abs(position.quantity)
    gained, fee = exchange.ledger.trade(
        *(position.symbol, position.side, -position.quantity, price, fee_rate, now_ms), trade_id=trade
    )
    order = Order(
        *(number, f"{name}-{number}", position.symbol, side, "LIMIT", quantity, now_ms, now_ms),
        price=price,
        time_in_force="IOC",
        reduce_only=not exchange.hedged,
        position_side=position.side,
        status="FILLED",
        filled=quantity,
        spent=quantity * price,
        fees=fee,
    )
    fill = Fill(
        *(trade, number, order.client_id, order.symbol, order.side, order.position_side),
        *(quantity, price, fee, gained, False, now_ms),
    )
    exchange.orders[number] = order  # it never was in the book
    exchange.fills.append(fill)
    execution: Execution = "CALCULATED" if name == "autoclose" else "TRADE"
    exchange.happened.append(OrderChanged(execution, order, now_ms, fill))


def warn(exchange: Exchange, now_ms: int) -> None:
    """Call for margin once, when the equity comes near the maintenance margin."""
    now = exchange.standing()
    near = now.maintenance > _CALL * now.equity
    if near and not exchange.called:
        told = []
        for one in exchange.ledger.held():
            mark = exchange.prices[one.symbol]
            told.append((one, mark, abs(one.quantity) * mark * MAINTENANCE))
        exchange.happened.append(MarginCalled(exchange.ledger.balance, told, now_ms))
    exchange.called = near
