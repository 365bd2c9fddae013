"""Fills, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from trading_assets.core.sides import Side

_ROUNDING = 1e-12
"""What floating-point sums of a trade's quantities may miss, as a share of what was traded."""


def nothing(quantity: float, traded: float) -> bool:
    """Whether a quantity is what rounding left of ``traded``."""
    return abs(quantity) <= _ROUNDING * traded


@dataclass(frozen=True, slots=True)
class Fill:
    """One journalled fill; quantity in base units, fee in quote currency."""

    seq: int
    ts: datetime
    order_id: str
    trade_id: str
    signal_id: str
    side: Literal["buy", "sell"]
    quantity: float
    price: float
    fee: float

    @property
    def signed(self) -> float:
        """Positive for a buy."""
        return self.quantity if self.side == "buy" else -self.quantity

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """A journalled ``fills`` event with its ``seq``."""
        wanted = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**wanted | {"ts": datetime.fromisoformat(row["ts"])})


@dataclass(frozen=True)
class Holding:
    """The fills of one market since it was last flat, at least one; the open position is their sum."""

    market: str
    fills: tuple[Fill, ...]

    @property
    def quantity(self) -> float:
        """Base units held, negative for a short position."""
        return sum(fill.signed for fill in self.fills)

    @property
    def traded(self) -> float:
        """Base units bought and sold."""
        return sum(fill.quantity for fill in self.fills)

    @property
    def is_flat(self) -> bool:
        """Whether buys and sells cancel out."""
        return nothing(self.quantity, self.traded)

    @property
    def side(self) -> Side:
        """What the first fill opened: a buy a long trade, a sell a short one."""
        return Side.LONG if self.fills[0].side == "buy" else Side.SHORT

    @property
    def average_price(self) -> float:
        """Mean price of the fills that opened it."""
        opening = [fill for fill in self.fills if fill.side == self.fills[0].side]
        quantity = sum(fill.quantity for fill in opening)
        return sum(fill.quantity * fill.price for fill in opening) / quantity if quantity else 0.0

    @property
    def realized_pnl(self) -> float:
        """Quote currency, fees taken off: what the price did for its side between opening and closing fills."""
        closing = (fill for fill in self.fills if fill.side != self.fills[0].side)
        gained = sum(fill.quantity * (fill.price - self.average_price) for fill in closing)
        return self.side * gained - sum(fill.fee for fill in self.fills)
