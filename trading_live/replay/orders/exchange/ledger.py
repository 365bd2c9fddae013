"""The account's books: balance, positions, and one line for each change of the balance. Pure, exact to the last digit.

Each fill moves money between the balance and the cost of what is open: ``balance - cost`` changes by what the trade
cost and its fee, and by nothing else. A position that closes takes its whole cost with it: no rounding is left over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal

from trading_live.replay.orders.exchange.model import CENT, ZERO, Payment, PaymentKind, PositionSide

type Key = tuple[str, PositionSide]


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of a symbol.

    Attributes
    ----------
    quantity, cost
        Signed: ``cost`` is what was paid for what is open.
    realized
        Of all that was closed, before fees.
    """

    symbol: str
    side: PositionSide = "BOTH"
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    updated_ms: int = 0

    @property
    def entry(self) -> Decimal:
        """Average entry price; 0 when flat."""
        return self.cost / self.quantity if self.quantity else ZERO

    def unrealized(self, mark: Decimal) -> Decimal:
        """Profit at a price."""
        return self.quantity * mark - self.cost

    def traded(self, signed: Decimal, price: Decimal, at_ms: int) -> tuple[Position, Decimal]:
        """The position after a trade, and what it realised."""
        after = self.quantity + signed
        value = signed * price
        if not self.quantity or self.quantity * signed > 0:
            return replace(self, quantity=after, cost=self.cost + value, updated_ms=at_ms), ZERO
        if self.quantity * after < 0:  # through zero: all of the old one is closed, the rest opens
            gained, cost = self.quantity * price - self.cost, after * price
        elif not after:
            gained, cost = -value - self.cost, ZERO
        else:
            share = -signed / self.quantity
            gained = (-value - self.cost * share).quantize(CENT, ROUND_HALF_EVEN)
            cost = self.cost + value + gained
        return (
            replace(self, quantity=after, cost=cost, realized=self.realized + gained, updated_ms=at_ms),
            gained,
        )


@dataclass(eq=False, slots=True)
class Ledger:
    """Balance, positions and statement.

    Attributes
    ----------
    balance
        Of the wallet, without what is unrealised.
    payments
        The statement, oldest first.
    positions
        Those that were ever opened.
    """

    first_id: int = 1
    balance: Decimal = ZERO
    payments: list[Payment] = field(default_factory=list)
    positions: dict[Key, Position] = field(default_factory=dict)

    def book(
        self, kind: PaymentKind, symbol: str, amount: Decimal, at_ms: int, trade_id: int | None = None
    ) -> Payment | None:
        """Enter one line; none for an amount of nothing."""
        if not amount:
            return None
        self.balance += amount
        number = self.first_id + len(self.payments)
        payment = Payment(number, kind, symbol, amount, self.balance, at_ms, trade_id)
        self.payments.append(payment)
        return payment

    def position(self, symbol: str, side: PositionSide = "BOTH") -> Position:
        """What is held; a flat one where nothing ever was."""
        return self.positions.get((symbol, side)) or Position(symbol, side)

    def held(self) -> list[Position]:
        """The open positions."""
        return [one for one in self.positions.values() if one.quantity]

    def trade(
        self,
        symbol: str,
        side: PositionSide,
        signed: Decimal,
        price: Decimal,
        fee_rate: Decimal,
        at_ms: int,
        trade_id: int,
    ) -> tuple[Decimal, Decimal]:
        """Book one fill; what it realised, and its fee.

        Parameters
        ----------
        symbol, side
            The position that it changes.
        signed
            Quantity, positive where it buys.
        price
            Of the fill.
        fee_rate
            Share of the value that is charged.
        at_ms
            When.
        trade_id
            Its number.
        """
        after, gained = self.position(symbol, side).traded(signed, price, at_ms)
        self.positions[symbol, side] = after
        fee = (abs(signed) * price * fee_rate).quantize(CENT, ROUND_HALF_EVEN)
        self.book("realized", symbol, gained, at_ms, trade_id)
        self.book("fee", symbol, -fee, at_ms, trade_id)
        return gained, fee

    def fund(self, symbol: str, rate: Decimal, price: Decimal, at_ms: int, *, assumed: bool) -> Decimal:
        """Settle one funding payment on what is held of a symbol; what was received.

        An assumed one is paid by either side: what nobody has recorded may be a cost, never an income.
        """
        total = ZERO
        for one in self.held():
            if one.symbol == symbol:
                due = (one.quantity * price * rate).quantize(CENT, ROUND_HALF_EVEN)
                amount = -abs(due) if assumed else -due
                self.book("funding", symbol, amount, at_ms)
                total += amount
        return total
