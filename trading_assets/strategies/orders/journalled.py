"""Orders that are journalled with the plan that they are sent for, and what is asked of the engine about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId
from nautilus_trader.trading import Strategy

from trading_assets.strategies.host.circuit_breaker import Row
from trading_assets.strategies.instruments import event_time
from trading_assets.strategies.orders.contracts import in_base, size_of
from trading_assets.strategies.orders.journal_rows import order_columns, plan_row
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.orders.trade_orders import closing
from trading_assets.strategies.plans.plan import Purpose, TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import Journal


class JournalledOrders:
    """Sends and cancels a strategy's orders, one plan a market.

    Attributes
    ----------
    open
        Market -> the plan in force.
    now
        The newest bar's end; the strategy sets it.
    adopts
        Whether a position that no plan explains is ours to close. Otherwise one that no order of ours has opened is
        somebody else's, who trades the same account: it is not seen here.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: dict[str, InstrumentId],
        journal: Journal,
        gate: RiskGate,
        ids: OrderIds,
    ) -> None:
        self.open: dict[str, TradePlan] = {}
        self.now: datetime | None = None
        self.adopts = True
        self._strategy = strategy
        self._instruments = instruments
        self._journal = journal
        self._gate = gate
        self._ids = ids
        self._orders: dict[str, tuple[TradePlan, Purpose]] = {}
        self._rows: list[Row] = []
        self._depth = 0
        self._sizes: dict[str, Decimal | None] = {}
        self._engine_ids: dict[str, str] = {}

    def position(self, market: str) -> Any | None:
        """The engine's open position in a market, if it is ours."""
        cache, instrument = self._strategy.cache, self._instruments[market]
        positions = cache.positions_open(instrument_id=instrument, strategy_id=self._strategy.strategy_id)
        if not positions:
            return None
        if self.adopts or market in self.open or self._ids.is_ours(positions[0].opening_order_id.value):
            return positions[0]
        return None

    def size(self, market: str) -> Decimal | None:
        """Base units of a contract; None where it is one."""
        if market not in self._sizes:
            instrument = self._strategy.cache.instrument(self._instruments[market])
            if instrument is None:
                return None
            self._sizes[market] = size_of(instrument)
        return self._sizes[market]

    def held(self, market: str, position: Any) -> float:
        """Base units of a position, of either side."""
        size = self.size(market)
        return abs(float(position.quantity.as_double()) if size is None else in_base(position.quantity, size))

    def _signed(self, market: str, position: Any) -> float:
        """Base units of a position, negative for a short one."""
        size = self.size(market)
        return float(position.signed_qty) if size is None else float(position.signed_qty) * float(size)

    def _filled(self, market: str, order: Any) -> float:
        size = self.size(market)
        return float(order.filled_qty.as_double()) if size is None else in_base(order.filled_qty, size)

    def _to_close(self, market: str, position: Any) -> Any:
        """How much an order takes that closes a position."""
        return position.quantity

    def _to_protect(self, market: str, position: Any) -> Any:
        """How much a stop takes that protects a position."""
        return self._to_close(market, position)

    def _act(self, plan: TradePlan, orders: Sequence[tuple[Any, Purpose]], *, cancel: Sequence[str] = ()) -> None:
        """Send what reduces risk, and journal it with what led to it when the handler ends."""
        self._rows += self._planned(plan, orders)
        self._send(plan, orders, cancel=cancel)

    def _planned(self, plan: TradePlan, orders: Sequence[tuple[Any, Purpose]]) -> list[Row]:
        now = self._clock()
        rows: list[Row] = [("plans", plan_row(plan, now))]
        for order, purpose in orders:
            row = order_columns(
                order, market=plan.market, signal_id=plan.signal_id, purpose=purpose, size=self.size(plan.market)
            )
            told = {"status": "initialized", "reason": "", "venue_order_id": None}
            rows.append(("orders", {"ts": now, **row, **told}))
        return rows

    def _send(self, plan: TradePlan, orders: Sequence[tuple[Any, Purpose]], *, cancel: Sequence[str] = ()) -> None:
        """Make the plan the one in force, cancel what it replaces, then send its orders."""
        self.open[plan.market] = plan
        self._cancel(*cancel)
        for order, purpose in orders:
            self._orders[order.client_order_id.value] = (plan, purpose)
            self._gate.order_sent(self.now or self._clock())
            self._strategy.submit_order(order)

    def _cancel(self, *order_ids: str) -> None:
        for order_id in order_ids:
            order = self._order(order_id)
            if order is not None and self._alive(order_id) and not order.is_pending_cancel:
                self._strategy.cancel_order(self._engine_id(order_id))

    def _order(self, order_id: str) -> Any | None:
        return self._strategy.cache.order(self._engine_id(order_id)) if order_id else None

    def _engine_id(self, order_id: str) -> ClientOrderId:
        return ClientOrderId(self._engine_ids.get(order_id, order_id))

    def _our_id(self, engine_id: str) -> str:
        """Ours of an order that the engine knows by the venue's id, or the engine's."""
        return next((ours for ours, one in self._engine_ids.items() if one == engine_id), engine_id)

    def _recognise(self, plan: TradePlan) -> bool:
        """Know a plan's stop again that rested before the engine started, and has lost our id there.

        Kraken's adapter names such an order by the venue's id alone, and the engine hears of what it fills twice.
        """
        if not plan.stop_order_id or self._order(plan.stop_order_id) is not None:
            return False
        for order_id in self._resting(plan.market):
            order = self._order(order_id)
            if order is None or self._ids.is_ours(order_id) or order.side is not closing(plan.side):
                continue
            if order.trigger_price is not None:
                self._engine_ids[plan.stop_order_id] = order_id
                return True
        return False

    def _resting(self, market: str) -> list[str]:
        cache, strategy_id = self._strategy.cache, self._strategy.strategy_id
        orders = cache.client_order_ids_open(instrument_id=self._instruments[market], strategy_id=strategy_id)
        return [self._our_id(order_id.value) for order_id in orders]

    def _alive(self, order_id: str) -> bool:
        order = self._order(order_id)
        return order is not None and not order.is_closed

    def _clock(self) -> datetime:
        return event_time(self._strategy.clock.timestamp_ns())
