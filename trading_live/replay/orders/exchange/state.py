"""The account at the venue: what it is asked, what it holds, and what candles and time do to it. No I/O, no clock.

Every method is told the market's time; what happens is left in :attr:`Exchange.happened`, oldest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from trading_live.replay.orders.exchange.acceptance import order_refusal, waiting_refusal
from trading_live.replay.orders.exchange.filters import Filters
from trading_live.replay.orders.exchange.happenings import (
    AccountChanged,
    ConditionalChanged,
    Execution,
    Happening,
    OrderChanged,
)
from trading_live.replay.orders.exchange.ledger import Ledger, Position
from trading_live.replay.orders.exchange.margin import Modes, Standing, standing
from trading_live.replay.orders.exchange.matching import parts, slipped, whole
from trading_live.replay.orders.exchange.model import (
    ZERO,
    Conditional,
    Due,
    Fill,
    Order,
    PositionSide,
    Refusal,
    Status,
    Terms,
)


@dataclass(eq=False)
class Exchange:
    """One account and its orders.

    Parameters
    ----------
    terms
        How orders are filled and charged.
    filters
        Symbol -> its filters.
    markets
        Symbol -> our market, which names its fees.
    prices
        Symbol -> newest price.
    funding
        Payments that will come due, in order.
    first_id
        Of orders, trades and payments.
    start_ms
        When the account was opened.

    Attributes
    ----------
    happened
        What has not been told to the user streams.
    slow
        Whether an order at the market is filled by half only, and the rest with the next candle.
    """

    terms: Terms
    filters: dict[str, Filters]
    markets: Mapping[str, str]
    prices: dict[str, Decimal]
    funding: list[Due] = field(default_factory=list)
    first_id: int = 1
    start_ms: int = 0
    hedged: bool = False
    orders: dict[int, Order] = field(default_factory=dict)
    conditionals: dict[int, Conditional] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    volumes: dict[str, Decimal] = field(default_factory=dict)
    modes: dict[str, Modes] = field(default_factory=dict)
    called: bool = False
    slow: bool = False
    happened: list[Happening] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.first_id)
        self.ledger.book("transfer", "", self.terms.balance, self.start_ms)
        self.modes = {symbol: Modes(self.terms.leverage) for symbol in self.filters} | self.modes
        self._next_id = self.first_id
        self._funded = 0
        self._in_book: dict[int, None] = {}
        self._waiting: dict[int, None] = {}

    # -- what is asked ----------------------------------------------------------------------------------------------

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """The orders in the book."""
        found = [self.orders[number] for number in self._in_book]
        return [one for one in found if symbol in (None, one.symbol)]

    def waiting(self, symbol: str | None = None) -> list[Conditional]:
        """The conditional orders that wait for their price."""
        found = [self.conditionals[number] for number in self._waiting]
        return [one for one in found if symbol in (None, one.symbol)]

    def standing(self) -> Standing:
        """The account at the newest prices."""
        return standing(self.ledger.balance, self.ledger.held(), self.open_orders(), self.prices, self.modes)

    def number(self) -> int:
        """The next number of an order or a trade."""
        self._next_id += 1
        return self._next_id

    def reducible(self, order: Order | Conditional) -> Decimal:
        """How much of what is held an order would close."""
        held = self.ledger.position(order.symbol, order.position_side).quantity
        return abs(held) if held * order.sign < 0 else ZERO

    # -- requests -----------------------------------------------------------------------------------------------------

    def place(self, order: Order, now_ms: int) -> Order | Refusal:
        """Take an order: fill what can be filled, and keep the rest."""
        self.advance(now_ms)
        if refusal := order_refusal(self, order):
            return refusal
        crosses = order.kind == "LIMIT" and order.sign * (order.price - self.prices[order.symbol]) >= 0
        if crosses and order.time_in_force == "GTX":
            text = "Due to the order could not be executed as maker, the Post Only order will be rejected."
            return Refusal(-5022, text)
        self.put(order, "NEW", now_ms)
        if crosses or order.kind == "MARKET":
            self.take(order.id, self.prices[order.symbol], now_ms)
        if self.orders[order.id].open and order.time_in_force in ("IOC", "FOK"):
            self.end(order.id, "EXPIRED", now_ms)
        return self.orders[order.id]

    def wait(self, order: Conditional, now_ms: int) -> Conditional | Refusal:
        """Take a conditional order."""
        self.advance(now_ms)
        if refusal := waiting_refusal(self, order):
            return refusal
        self.tell(order, now_ms)
        return order

    def cancel(self, order_id: int, now_ms: int) -> Order | Refusal:
        """Take an order out of the book."""
        self.advance(now_ms)
        if order_id not in self.orders or not self.orders[order_id].open:
            return Refusal(-2011, "Unknown order sent.")
        self.end(order_id, "CANCELED", now_ms)
        return self.orders[order_id]

    def cancel_waiting(self, order_id: int, now_ms: int) -> Conditional | Refusal:
        """Cancel a conditional order that waits."""
        self.advance(now_ms)
        found = self.conditionals.get(order_id)
        if found is None or not found.open:
            return Refusal(-2011, "Unknown order sent.")
        self.tell(replace(found, status="CANCELED"), now_ms)
        return self.conditionals[order_id]

    def amend(self, order_id: int, quantity: Decimal, price: Decimal, now_ms: int) -> Order | Refusal:
        """Change a resting limit order."""
        self.advance(now_ms)
        found = self.orders.get(order_id)
        if found is None or not found.open:
            return Refusal(-2013, "Order does not exist.")
        if (quantity, price) == (found.quantity, found.price):
            return Refusal(-5027, "No need to modify the order.")
        changed = replace(found, quantity=quantity, price=price)
        if refusal := self.filters[found.symbol].refusal(changed, self.prices[found.symbol]):
            return refusal
        if quantity <= found.filled:
            self.end(order_id, "CANCELED", now_ms)
            return self.orders[order_id]
        self.put(changed, "AMENDMENT", now_ms)
        if changed.sign * (price - self.prices[found.symbol]) >= 0:
            self.take(order_id, self.prices[found.symbol], now_ms)
        return self.orders[order_id]

    # -- what happens -------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Settle the funding that is due before an instant or at it."""
        while self._funded < len(self.funding) and self.funding[self._funded].at_ms <= now_ms:
            due = self.funding[self._funded]
            self._funded += 1
            change = self.ledger.fund(due.symbol, due.rate, due.price, due.at_ms, assumed=due.assumed)
            if change:
                isolated = self.modes[due.symbol].margin == "ISOLATED"  # of others the venue tells the balance alone
                held = [one for one in self.ledger.held() if one.symbol == due.symbol and isolated]
                self._account("FUNDING_FEE", held, due.at_ms, change)

    def take(self, order_id: int, price: Decimal, now_ms: int) -> None:
        """Fill an order at the market's price, as far as it may be; what reduces only ends with what is held."""
        order = self.orders[order_id]
        rules = self.filters[order.symbol]
        quantity = order.rest
        if order.reduce_only or order.close_position:
            quantity = min(quantity, self.reducible(order))
        if order.kind == "MARKET":
            price = slipped(price, order.side, self.terms, rules.tick, order.id)
        volume = self.volumes.get(order.symbol, ZERO)
        if self.slow:
            quantity = whole(quantity / 2, rules.step)
        for part in parts(quantity, volume, self.terms.volume_share, rules.step):
            self.fill(order_id, part, price, now_ms, maker=False)
        if self.slow:  # the rest follows at the next candle's open
            return
        if self.orders[order_id].open and (order.reduce_only or order.close_position or order.kind == "MARKET"):
            self.end(order_id, "EXPIRED", now_ms)

    def fill(self, order_id: int, quantity: Decimal, price: Decimal, now_ms: int, *, maker: bool) -> None:
        """Fill a part of an order and book it."""
        order = self.orders[order_id]
        rates = self.terms.costs.rates(self.markets[order.symbol])
        rate = Decimal(str(rates[0] if maker else rates[1])) / 10_000
        trade = self.number()
        signed = quantity * order.sign
        gained, fee = self.ledger.trade(order.symbol, order.position_side, signed, price, rate, now_ms, trade_id=trade)
        filled, spent = order.filled + quantity, order.spent + quantity * price
        status: Status = "FILLED" if filled == order.quantity else "PARTIALLY_FILLED"
        order = replace(order, filled=filled, spent=spent, fees=order.fees + fee, status=status, updated_ms=now_ms)
        self._keep(order)
        made = Fill(
            *(trade, order_id, order.client_id, order.symbol, order.side, order.position_side),
            *(quantity, price, fee, gained, maker, now_ms),
        )
        self.fills.append(made)
        position = self.ledger.position(order.symbol, order.position_side)
        self._account("ORDER", [position], now_ms)
        self.happened.append(OrderChanged("TRADE", order, now_ms, made))
        if not position.quantity:
            self._flat(order.symbol, order.position_side, now_ms)

    def put(self, order: Order, execution: Execution, now_ms: int) -> None:
        """Write an order into the book and tell it."""
        self._keep(replace(order, updated_ms=now_ms))
        self.happened.append(OrderChanged(execution, self.orders[order.id], now_ms))

    def end(self, order_id: int, status: Any, now_ms: int) -> None:
        """End an order without a fill: CANCELED or EXPIRED."""
        self.put(replace(self.orders[order_id], status=status), status, now_ms)

    def tell(self, order: Conditional, now_ms: int, ended: Order | None = None) -> None:
        """Write a conditional order down and tell it."""
        self.conditionals[order.id] = order = replace(order, updated_ms=now_ms)
        self._waiting = _with(self._waiting, order)
        filled, average = (ended.filled, ended.average) if ended else (ZERO, ZERO)
        self.happened.append(ConditionalChanged(order, now_ms, filled, average))

    def _keep(self, order: Order) -> None:
        self.orders[order.id] = order
        self._in_book = _with(self._in_book, order)

    def _flat(self, symbol: str, side: PositionSide, now_ms: int) -> None:
        """What could only reduce a position that is closed has nothing left to do."""
        for order in self.open_orders(symbol):
            if order.position_side == side and order.reduce_only:
                self.end(order.id, "EXPIRED", now_ms)
        for one in self.waiting(symbol):
            if one.position_side == side and one.close_position:
                self.tell(replace(one, status="EXPIRED"), now_ms)

    def _account(self, reason: str, positions: list[Position], at_ms: int, change: Decimal = ZERO) -> None:
        told = [(one, one.unrealized(self.prices[one.symbol])) for one in positions]
        self.happened.append(AccountChanged(reason, self.ledger.balance, change, told, at_ms))


def _with(numbers: dict[int, None], order: Order | Conditional) -> dict[int, None]:
    """The numbers of what is open, in the order of their coming, after an order has changed."""
    if order.open:
        numbers[order.id] = None
    else:
        numbers.pop(order.id, None)
    return numbers
