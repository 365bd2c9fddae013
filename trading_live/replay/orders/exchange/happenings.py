"""What happens to an account, as values; each protocol writes them in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.model import Conditional, Fill, Order

Execution = Literal["NEW", "TRADE", "CANCELED", "EXPIRED", "AMENDMENT", "CALCULATED"]


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order as it is after something happened to it."""

    execution: Execution
    order: Order
    at_ms: int
    fill: Fill | None = None


@dataclass(frozen=True, slots=True)
class ConditionalChanged:
    """A conditional order as it is after something happened to it; with the order in the book once there is one."""

    order: Conditional
    at_ms: int
    filled: Decimal = Decimal(0)
    average: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Balance and positions after a fill, a payment or a liquidation.

    Attributes
    ----------
    reason
        The venue's word: ORDER, FUNDING_FEE, INSURANCE_CLEAR.
    change
        Of the balance, without profit and fee.
    """

    reason: str
    balance: Decimal
    change: Decimal
    positions: Sequence[tuple[Position, Decimal]]
    at_ms: int


@dataclass(frozen=True, slots=True)
class LeverageChanged:
    """A symbol's new leverage."""

    symbol: str
    leverage: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class MarginCalled:
    """Positions that are near their liquidation, with the mark price and the maintenance margin of each."""

    balance: Decimal
    positions: Sequence[tuple[Position, Decimal, Decimal]]
    at_ms: int


type Happening = OrderChanged | ConditionalChanged | AccountChanged | LeverageChanged | MarginCalled
