"""What journal, engine and venue each say of the markets that are compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self

from trading_assets.journal import JournalState, nothing
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.venues.account.contract import VenueFill, VenueOrder

SINCE_BEFORE: Final = timedelta(minutes=1)
"""Fills are asked for from so long before an order was sent: two clocks are never quite the same."""


@dataclass(frozen=True, slots=True)
class Said:
    """An order of ours as the journal has it."""

    order_id: str
    market: str
    signal_id: str
    purpose: str
    side: str
    order_type: str
    quantity: float
    price: float | None
    ts: datetime


class Filled(NamedTuple):
    """A journalled fill: base units, positive for a buy; what was paid, and in what."""

    signed: float
    price: float
    ts: datetime
    fee: float = 0.0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class JournalSays:
    """What the journal holds of the markets that are compared.

    Attributes
    ----------
    orders
        Id -> an order that may rest.
    filled
        Order id -> trade id -> what is journalled of it.
    held
        Market -> base units held, negative for a short position.
    signals
        Order id -> the signal of its trade, as far as it is known.
    trading
        Market -> the signal of its open trade.
    begun
        Market -> the first fill of what is held, whatever became of its trade: an engine may have taken it as closed.
        Of an order that has filled before what is held, its first fill ever: one that an engine made up may be doubled.
    feeless
        Market -> orders with a fill that cost nothing: an engine that makes a fill up does not know its fee.
    """

    orders: Mapping[str, Said]
    filled: Mapping[str, Mapping[str, Filled]]
    held: Mapping[str, float]
    signals: Mapping[str, str] = field(default_factory=dict)
    trading: Mapping[str, str] = field(default_factory=dict)
    begun: Mapping[str, datetime] = field(default_factory=dict)
    feeless: Mapping[str, Collection[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, state: JournalState, fills: Iterable[Mapping[str, Any]]) -> Self:
        """From the journal's state and the rows of its newest fills."""
        orders = {order_id: _said(one.row, one.since) for order_id, one in state.orders.items()}
        filled: dict[str, dict[str, Filled]] = {}
        signals = {order_id: one.signal_id for order_id, one in orders.items()}
        held, trading, begun = dict[str, float](), dict[str, str](), dict[str, datetime]()
        feeless: dict[str, set[str]] = {}
        for row in fills:
            signed = row["quantity"] * (1 if row["side"] == "buy" else -1)
            done = filled.setdefault(row["order_id"], {})
            fee, currency = row["fee"] or 0.0, row["fee_currency"] or ""
            done[row["trade_id"]] = Filled(signed, row["price"], row["ts"], fee, currency)
            if signed and not fee:
                feeless.setdefault(row["market"], set()).add(row["order_id"])
            signals[row["order_id"]] = row["signal_id"]
        for market, one in state.markets.items():
            held[market] = 0.0 if nothing(one.held, one.traded) else one.held
            if held[market] and one.fills:
                orders_of = {row["order_id"] for row in one.fills}
                ever = (done.ts for order_id in orders_of for done in filled.get(order_id, {}).values())
                begun[market] = min(ever, default=datetime.fromisoformat(one.fills[0]["ts"]))
                if one.plan is not None and one.plan["signal_id"] == one.fills[0]["signal_id"]:
                    begun[market] = min(begun[market], TradePlan.from_json(one.plan["plan"]).known_at)
            if one.plan is not None:
                trading[market] = one.plan["signal_id"]
        return cls(orders, filled, held, signals, trading, begun, feeless)


@dataclass(frozen=True, slots=True)
class EngineSays:
    """What the engine holds.

    Attributes
    ----------
    orders
        Client id -> market of our orders that rest, or are on their way there.
    held
        Market -> base units.
    vanished
        Market -> a trade whose position is gone, or was never there, and nothing has said why.
    apart
        Markets that it does not know: what is open there is with the venue and the journal alone.
    """

    orders: Mapping[str, str]
    held: Mapping[str, float]
    vanished: Mapping[str, TradePlan] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VenueSays:
    """What the account answered.

    Attributes
    ----------
    orders
        All that rest, whoever placed them.
    asked
        Id -> what became of an order of ours that was asked for; None where the venue never had it.
    fills
        Of the markets, each since its own time, whoever traded; the oldest first.
    held
        Market -> base units; of spot, what is owned of the base currency.
    since
        Market -> from when on its fills are here.
    """

    orders: Sequence[VenueOrder] = ()
    asked: Mapping[str, VenueOrder | None] = field(default_factory=dict)
    fills: Sequence[VenueFill] = ()
    held: Mapping[str, float] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)


def _said(row: Mapping[str, Any], since: str) -> Said:
    return Said(
        order_id=row["order_id"],
        market=row["market"],
        signal_id=row["signal_id"] or "",
        purpose=row["purpose"] or "",
        side=row["side"],
        order_type=row["order_type"],
        quantity=row["quantity"] or 0.0,
        price=row["price"],
        ts=datetime.fromisoformat(since or row["ts"]),
    )
