"""What the strategy intends with one trade: written to the journal before it acts, read back after a restart."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Self

from trading_assets.core.errors import NodeError
from trading_assets.core.sides import Side
from trading_assets.strategies.signals import Signal

Stage = Literal["entering", "open", "exiting", "closed"]
Purpose = Literal["entry", "take_profit", "stop_loss", "exit"]
ExitReason = Literal[
    "", "take_profit", "stop_loss", "time", "end", "kill", "close_only", "unprotected", "unfilled", "lost"
]

_TIMES: Final = ("known_at", "expires_at")


@dataclass(frozen=True, slots=True)
class TradePlan:
    """One trade: its side, its signal, its orders, its stop, target and expiry.

    Attributes
    ----------
    known_at, expires_at
        When the signal was known, and the end of the horizon, when the trade is closed at the market.
    quantity
        Base units ordered, whatever the side; after the entry, base units filled.
    entry_price, stop_price, target_price
        0 until the entry is filled; the barriers are taken from the average fill price.
    exit_reason
        Why the trade is being closed, or was.
    side
        A short trade's stop is above its entry and its target below.
    """

    market: str
    signal_id: str
    probability: float
    known_at: datetime
    expires_at: datetime
    take_profit_pct: float
    stop_loss_pct: float
    quantity: float
    entry_order_id: str
    stage: Stage = "entering"
    entry_price: float = 0.0
    stop_price: float = 0.0
    target_price: float = 0.0
    stop_order_id: str = ""
    target_order_id: str = ""
    exit_order_id: str = ""
    exit_reason: ExitReason = ""
    side: Side = Side.LONG

    @classmethod
    def of(cls, signal: Signal, *, bar_length: timedelta, quantity: float, entry_order_id: str) -> Self:
        """The plan of a trade on a signal, before its entry is sent."""
        return cls(
            market=signal.market,
            signal_id=signal.signal_id,
            probability=signal.probability,
            known_at=signal.known_at,
            expires_at=signal.known_at + signal.horizon_bars * bar_length,
            take_profit_pct=signal.take_profit_pct,
            stop_loss_pct=signal.stop_loss_pct,
            quantity=quantity,
            entry_order_id=entry_order_id,
            side=signal.side,
        )

    def filled(self, quantity: float, price: float) -> TradePlan:
        """The plan once the entry has filled at an average price: stop and target are known."""
        stop, target = barrier_prices(self.side, price, self.take_profit_pct, self.stop_loss_pct)
        return replace(self, stage="open", quantity=quantity, entry_price=price, stop_price=stop, target_price=target)

    @classmethod
    def unknown(cls, market: str, now: datetime, signed_quantity: float) -> Self:
        """The plan for a position that no journal explains: it has expired already."""
        long_ago, side = datetime.min.replace(tzinfo=UTC), Side.LONG if signed_quantity > 0 else Side.SHORT
        return cls(market, "", 0.0, now, long_ago, 0.0, 0.0, abs(signed_quantity), "", stage="open", side=side)

    def is_stopped_at(self, price: float) -> bool:
        """Whether the price is at the stop or beyond, or no stop is known."""
        return self.stop_price <= 0 or self.side * (price - self.stop_price) <= 0

    def orders(self) -> list[tuple[str, Purpose]]:
        """The trade's orders and what each is for."""
        named: list[tuple[str, Purpose]] = [
            (self.entry_order_id, "entry"),
            (self.stop_order_id, "stop_loss"),
            (self.target_order_id, "take_profit"),
            (self.exit_order_id, "exit"),
        ]
        return [(order_id, purpose) for order_id, purpose in named if order_id]

    def purpose_of(self, order_id: str) -> Purpose | None:
        """What one of the trade's orders is for; None if it is not the trade's."""
        return dict(self.orders()).get(order_id)

    def to_json(self) -> str:
        """As text for the journal."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(values | {name: values[name].isoformat() for name in _TIMES})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        NodeError
            If the text is not a plan.
        """
        try:
            values = json.loads(text)
            told = {name: datetime.fromisoformat(values[name]) for name in _TIMES}
            side = Side(values.get("side", Side.LONG))  # there was none before trades had two
            return cls(**(values | told | {"side": side}))
        except (ValueError, TypeError, KeyError) as error:
            raise NodeError(
                f"not a trade plan ({error})",
                where="journal",
                remedy="trading journal check says what is damaged, trading journal export FILE saves the rest",
            ) from None


def barrier_prices(side: Side, price: float, take_profit_pct: float, stop_loss_pct: float) -> tuple[float, float]:
    """Stop and target of a trade entered at a price: the stop of a short is above it, its target below.

    >>> barrier_prices(Side.SHORT, 200.0, 2.0, 1.0)
    (202.0, 196.0)
    """
    return price * (1 - side * stop_loss_pct / 100), price * (1 + side * take_profit_pct / 100)
