"""A venue that answers as a test wants: entries in parts, refusals, bound balances, lost journals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace as Any_
from typing import Any

from tests.backtest.worlds import GENEROUS, A
from trading_assets.core.candles import Market
from trading_assets.exits.plan import ExitPlan, Target
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.bracket_orders import BracketOrders
from trading_assets.strategies.orders.matching import AT_VENUE, Matching
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import MemoryJournal

NOW = datetime(2025, 1, 1, tzinfo=UTC)
ONE = ExitPlan.bracket(0.02, 0.01, timedelta(hours=6))
TWO = ExitPlan(0.01, (Target(0.02, 0.5), Target(0.04, 0.5)), timedelta(hours=6))
IDS = OrderIds()


class Qty(float):
    """A quantity or price as the engine's are read."""

    def as_double(self) -> float:
        return float(self)


def named(name: str) -> Any:
    return Any_(name=name)


@dataclass(eq=False)
class Order:
    """An order as the engine keeps it."""

    client_order_id: Any
    side: Any
    quantity: Qty
    kind: str
    reduce_only: bool
    price: Qty | None = None
    trigger_price: Qty | None = None
    status: str = "submitted"
    filled_qty: Qty = field(default_factory=lambda: Qty(0))
    avg_px: float = 0.0
    ts_last: int = 0
    venue_order_id: Any = None
    is_pending_update: bool = False
    is_pending_cancel: bool = False

    @property
    def order_type(self) -> Any:
        return named(self.kind)

    @property
    def is_closed(self) -> bool:
        return self.status in ("filled", "canceled", "rejected", "expired")

    @property
    def is_inflight(self) -> bool:
        return self.status == "submitted"

    @property
    def leaves_qty(self) -> Qty:
        return Qty(self.quantity - self.filled_qty)


class Venue:
    """A strategy's engine whose venue does what the test says; reports come as the engine's events do."""

    strategy_id = "S"

    def __init__(self, exits: ExitPlan = ONE, matching: Matching = AT_VENUE, market: str = A) -> None:
        self.market_name = market
        self.orders: dict[str, Order] = {}
        self.cancels: list[str] = []
        self.queries: list[str] = []
        self.held: Any = None
        self.alarms: list[tuple[datetime, Callable[[], None]]] = []
        self.clock = Any_(timestamp_ns=lambda: int(NOW.timestamp() * 1e9))
        self.cache = self.order_factory = self
        self.journal = MemoryJournal()
        self.trades = BracketOrders(
            self,  # type: ignore[arg-type]
            {market: "I"},  # type: ignore[dict-item]
            self.journal,
            RiskGate(GENEROUS),
            (),
            matching=matching,
            later=lambda at, what: self.alarms.append((at, what)),
        )
        self.trades.now = NOW
        entry = IDS.entry(market, "m-v1", NOW)
        self.plan = TradePlan(market, "m-v1", 0.6, NOW, NOW + timedelta(hours=6), exits, 10.0, entry)
        self.plan = replace(self.plan, sent=1)

    # what BracketOrders asks the engine for

    def order(self, order_id: Any) -> Order | None:
        return self.orders.get(order_id.value)

    def instrument(self, _: Any) -> Any:
        limits = dict.fromkeys(("min_quantity", "max_quantity", "min_notional", "max_notional", "min_price"))
        steps = {"price_increment": Qty(0.1), "size_increment": Qty(0.001), "max_price": None}
        return Any_(id="I", make_qty=Qty, make_price=lambda price: Qty(round(price, 6)), **steps, **limits)

    def positions_open(self, **_: Any) -> list[Any]:
        return [] if self.held is None else [self.held]

    def client_order_ids_open(self, **_: Any) -> list[Any]:
        return [one.client_order_id for one in self.orders.values() if one.status == "accepted"]

    def market(self, _: Any, side: Any, quantity: Any, *, tags: Any, client_order_id: Any, reduce_only: bool = False):
        return Order(client_order_id, side, Qty(quantity), "MARKET", reduce_only)

    def limit(
        self, _: Any, side: Any, quantity: Any, price: Any, *, reduce_only: bool, tags: Any, client_order_id: Any
    ):
        return Order(client_order_id, side, Qty(quantity), "LIMIT", reduce_only, price=price)

    def stop_market(
        self, _: Any, side: Any, quantity: Any, price: Any, *, reduce_only: bool, tags: Any, client_order_id: Any
    ):
        return Order(client_order_id, side, Qty(quantity), "STOP_MARKET", reduce_only, trigger_price=price)

    def submit_order(self, order: Order) -> None:
        assert order.client_order_id.value not in self.orders, "an id is used once"
        self.orders[order.client_order_id.value] = order

    def query_order(self, order: Order) -> None:
        self.queries.append(order.client_order_id.value)

    def cancel_order(self, order_id: Any) -> None:
        self.cancels.append(order_id.value)
        self.orders[order_id.value].is_pending_cancel = True

    # what the test has the venue do

    def enter(self) -> str:
        order = trade_orders.market_entry(
            self, "I", self.plan.side, self.plan.signal_id, Qty(10.0), self.plan.entry_order_id
        )
        self.trades.enter([(self.plan, order)], [])
        self.say(self.plan.entry_order_id, "accepted")
        return self.plan.entry_order_id

    def say(self, order_id: str, status: str, **more: Any) -> None:
        order = self.orders[order_id]
        if status not in ("filled", "updated"):
            order.status = status
        event = type("Order" + status.title().replace("_", ""), (), {})()
        event.client_order_id, event.instrument_id = order.client_order_id, "I"
        event.event_id, event.ts_event, event.venue_order_id, event.reason = object(), 0, Any_(value="7"), ""
        vars(event).update(more)
        self.trades.on_order_event(event)

    def fill(self, order_id: str, quantity: float, price: float = 100.0, fee: float = 0.0, coin: str = "USDT") -> None:
        """A part of an order; the position is the engine's before the strategy hears of it."""
        order = self.orders[order_id]
        before = 0.0 if self.held is None else self.held.signed_qty
        sign = 1 if order.side.name == "BUY" else -1
        now = round(before + sign * quantity - (fee if coin == Market.parse(self.market_name).base else 0.0), 9)
        order.filled_qty, order.avg_px = Qty(round(order.filled_qty + quantity, 9)), price
        order.status = "filled" if order.leaves_qty <= 1e-9 else "accepted"
        self.held = None if now <= 0 else Any_(quantity=Qty(round(now, 3)), signed_qty=now, avg_px_open=price)
        paid = None if not fee else Any_(as_decimal=lambda: fee, currency=Any_(code=coin))
        trade = Any_(value=f"{len(self.journal.of('fills'))}")
        money = {"commission": paid, "currency": Any_(code="USDT"), "last_qty": Qty(quantity), "last_px": Qty(price)}
        self.say(order_id, "filled", trade_id=trade, order_side=order.side, **money)
        name = "PositionClosed" if now <= 0 else "PositionChanged" if before else "PositionOpened"
        event = type(name, (), {})()
        event.instrument_id, event.event_id, event.ts_event = "I", object(), 0
        event.position_id, event.quantity, event.signed_qty = Any_(value="P"), Qty(max(now, 0)), now
        event.avg_px_open, event.realized_pnl = price, None
        event.opening_order_id, event.closing_order_id = order.client_order_id, order.client_order_id
        self.trades.on_position_event(event)

    def ring(self) -> None:
        """Let the alarms go off."""
        alarms, self.alarms = self.alarms, []
        for _, what in alarms:
            what()

    # what is seen

    def of(self, purpose: str) -> list[Order]:
        return [one for one in self.orders.values() if IDS.purpose_of(one.client_order_id.value) == purpose]

    @property
    def now(self) -> TradePlan:
        return self.trades.open[self.market_name]
