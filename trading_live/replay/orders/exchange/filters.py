"""What an order must be like: the venue's filters, and how it refuses. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from trading_assets.core.precision import MAX_PRICE, MAX_QUANTITY
from trading_live.replay.orders.exchange.model import ZERO, Conditional, Order, Refusal

SymbolStatus = Literal["TRADING", "SETTLING", "CLOSE"]

_ID_LENGTH: Final = 36
_ORDER_IDS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:/_-")


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a symbol.

    Attributes
    ----------
    tick, step
        Of prices and quantities; the step is the least quantity as well.
    max_quantity, market_max_quantity
        Of orders that rest and of orders at the market; by default no order is refused for its size.
    min_notional
        In quote currency; reduce-only orders may be smaller.
    max_position
        In quote currency, at any leverage.
    band
        How far from the mark price the price of an order may be, as a share of it; so may the best one that meets an
        order at the market.
    status
        Of the symbol: while it is settled only reduce-only orders are accepted, and none when it is closed.
    """

    tick: Decimal
    step: Decimal
    max_quantity: Decimal = Decimal(int(MAX_QUANTITY))
    market_max_quantity: Decimal = Decimal(int(MAX_QUANTITY))
    max_price: Decimal = Decimal(int(MAX_PRICE))
    min_notional: Decimal = Decimal(5)
    max_position: Decimal = Decimal(1_000_000_000)
    band: Decimal = Decimal("0.5")
    status: SymbolStatus = "TRADING"

    def refusal(self, order: Order | Conditional, mark: Decimal) -> Refusal | None:
        """Why an order is refused for what it is, whatever the account holds; None where it is not.

        Parameters
        ----------
        order
            What is sent.
        mark
            The symbol's newest price.
        """
        return (
            self._symbol(order)
            or _identity(order.client_id)
            or self._quantity(order)
            or self._price(order, mark)
            or self._notional(order, mark)
        )

    def _symbol(self, order: Order | Conditional) -> Refusal | None:
        if self.status == "CLOSE":
            return Refusal(-4141, "Symbol is closed.")
        if self.status == "SETTLING" and not (order.reduce_only or order.close_position):
            return Refusal(-4108, "This contract is being settled or has been delisted.")
        return None

    def _quantity(self, order: Order | Conditional) -> Refusal | None:
        if order.close_position:
            return None
        most = self.market_max_quantity if order.kind == "MARKET" else self.max_quantity
        if order.quantity <= 0:
            return Refusal(-4003, "Quantity less than or equal to zero.")
        if order.quantity < self.step:
            return Refusal(-4004, "Quantity less than min quantity.")
        if order.quantity > most:
            return Refusal(-4005, "Quantity greater than max quantity.")
        if order.quantity % self.step:
            return Refusal(-1111, "Precision is over the maximum defined for this asset.")
        return None

    def _price(self, order: Order | Conditional, mark: Decimal) -> Refusal | None:
        if isinstance(order, Conditional):
            if order.trigger <= 0:
                return Refusal(-4006, "Stop price less than zero.")
            if order.trigger % self.tick:
                return Refusal(-4014, "Price not increased by tick size.")
        if order.kind not in ("LIMIT", "STOP", "TAKE_PROFIT"):
            return None
        if order.price <= 0:
            return Refusal(-4001, "Price less than 0.")
        if order.price > self.max_price:
            return Refusal(-4002, "Price greater than max price.")
        if order.price % self.tick:
            return Refusal(-4014, "Price not increased by tick size.")
        around = order.trigger if isinstance(order, Conditional) else mark
        highest, lowest = around * (1 + self.band), around * (1 - self.band)
        if order.side == "BUY" and order.price > highest:
            return Refusal(-4016, f"Limit price can't be higher than {highest:f}.")
        if order.side == "SELL" and order.price < lowest:
            return Refusal(-4024, f"Limit price can't be lower than {lowest:f}.")
        return None

    def _notional(self, order: Order | Conditional, mark: Decimal) -> Refusal | None:
        if order.reduce_only or order.close_position:
            return None
        price = order.price or (order.trigger if isinstance(order, Conditional) else ZERO) or mark
        if order.quantity * price < self.min_notional:
            least = f"{self.min_notional:f}"
            return Refusal(-4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")
        return None


def _identity(client_id: str) -> Refusal | None:
    if not 0 < len(client_id) <= _ID_LENGTH or not set(client_id) <= _ORDER_IDS:
        return Refusal(-4015, "Client order id is not valid.")
    return None
