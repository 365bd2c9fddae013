"""Keeps a strategy's open trades: sends their orders, journals what becomes of them, leaves none unprotected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from nautilus_trader.model import ClientOrderId, InstrumentId
from nautilus_trader.trading import Strategy

from trading_assets.strategies.circuit_breaker import Row, noted
from trading_assets.strategies.instruments import event_time
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.journal_rows import (
    closed_by,
    fill_row,
    order_columns,
    order_row,
    plan_row,
    position_row,
    status_of,
)
from trading_assets.strategies.orders.plans import ExitReason, Purpose, TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import Journal

_REFUSED: Final = ("denied", "rejected")
_DEAD: Final = (*_REFUSED, "canceled", "expired")
_POSITION_EVENTS: Final = ("opened", "changed", "closed")


class BracketOrders:
    """At most one trade a market, of either side: entry, then stop and target at the venue, one cancelling the other.

    Parameters
    ----------
    strategy
        Whose orders, cache and clock these are.
    instruments
        Market -> the venue's instrument.
    journal
        Has an entry before it is sent, and everything else at the end of the handler that did it.
    gate
        Told about orders and realised results.
    plans
        Trades that were open when the process ended.

    Attributes
    ----------
    open
        Market -> the plan in force.
    now
        The newest bar's end; the strategy sets it.
    closing
        If set, an entry that still fills is closed at once, for this reason.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: dict[str, InstrumentId],
        journal: Journal,
        gate: RiskGate,
        plans: Iterable[TradePlan],
    ) -> None:
        mine = (plan for plan in plans if plan.stage != "closed" and plan.market in instruments)
        self.open: dict[str, TradePlan] = {plan.market: plan for plan in mine}
        self.now: datetime | None = None
        self.closing: ExitReason = ""
        self._strategy = strategy
        self._instruments = instruments
        self._markets = {instrument: market for market, instrument in instruments.items()}
        self._journal = journal
        self._gate = gate
        self._orders: dict[str, tuple[TradePlan, Purpose]] = {}
        self._rows: list[Row] = []
        self._depth = 0

    # -- asked and told by the strategy ---------------------------------------------------------------------------

    def position(self, market: str) -> Any | None:
        """The engine's open position in a market."""
        cache, instrument = self._strategy.cache, self._instruments[market]
        positions = cache.positions_open(instrument_id=instrument, strategy_id=self._strategy.strategy_id)
        return positions[0] if positions else None

    def enter(self, entries: Sequence[tuple[TradePlan, Any]], decisions: Sequence[Row]) -> None:
        """Send the entries of new trades, once the journal has them with the decisions of their pass, as one.

        Raises
        ------
        NodeError
            If the journal cannot be written; nothing is sent.
        """
        planned = [row for plan, order in entries for row in self._planned(plan, [(order, "entry")])]
        self._journal.record_all([*decisions, *planned])
        for plan, order in entries:
            self._send(plan, [(order, "entry")])

    @noted
    def manage(self, market: str, price: float, *, deciding: bool = True) -> None:
        """On each bar: close what has expired, and see that what is open is protected.

        A trade that expires at the end of a decision bar is closed on that bar, not on the finer one that ends with it
        (``deciding`` is False): the decision on that bar finds it open, here as in a backtest.
        """
        plan = self.open.get(market)
        if plan is None or self.now is None:
            return
        if plan.stage == "entering":
            entry = self._order(plan.entry_order_id)
            if entry is not None and entry.is_closed:  # the handler of its end failed
                self._entered(plan, entry)
        elif plan.stage == "exiting":
            if not plan.exit_order_id:
                self.exit(plan, plan.exit_reason)
        elif self.now > plan.expires_at or (deciding and self.now == plan.expires_at):
            self.exit(plan, "time")
        elif not self._alive(plan.stop_order_id):
            if plan.is_stopped_at(price):
                self.exit(plan, "unprotected")
            else:
                self._protect(plan)

    @noted
    def exit_all(self, reason: ExitReason) -> None:
        """Close whatever is open at the market, also what no plan names; an entry that still fills is closed then."""
        self.closing = reason
        self._adopt()
        for plan in list(self.open.values()):
            self.exit(plan, reason)

    @noted
    def exit(self, plan: TradePlan, reason: ExitReason) -> None:
        """Cancel stop and target and close the position at the market, reduce-only."""
        position = self.position(plan.market)
        if position is None or (plan.stage == "exiting" and plan.exit_order_id):
            return
        factory, instrument = self._strategy.order_factory, self._instruments[plan.market]
        order = trade_orders.market_exit(factory, instrument, plan, position.quantity)
        plan = replace(plan, stage="exiting", exit_order_id=order.client_order_id.value, exit_reason=reason)
        self._act(plan, [(order, "exit")], cancel=(plan.stop_order_id, plan.target_order_id))

    @noted
    def resume(self) -> None:
        """After a restart: compare the plans with the engine's positions and orders.

        A trade whose position is still there goes on with its own stop, target and expiry; one whose position is gone
        is ended as ``lost``; a position without a plan is closed on the next bar; an order that no plan names is
        canceled. A trade of a market that the venue does not have is left as it is: nothing is known of its position.
        """
        for plan in list(self.open.values()):
            for order_id, purpose in plan.orders():
                self._orders[order_id] = (plan, purpose)
            if self._strategy.cache.instrument(self._instruments[plan.market]) is None:
                continue
            entry = self._order(plan.entry_order_id)
            if self.position(plan.market) is None:
                if plan.stage == "entering" and entry is not None and not entry.is_closed:
                    continue  # still on its way
                self._end(plan, "lost", self._clock())
            elif plan.stage == "entering":
                self._entered(plan, entry)
            elif plan.stage == "exiting" and not self._alive(plan.exit_order_id):
                self.open[plan.market] = replace(plan, exit_order_id="")  # sent again on the next bar
        self._adopt()
        for market in self._instruments:
            named = {order_id for order_id, _ in self.open[market].orders()} if market in self.open else set()
            self._cancel(*(order_id for order_id in self._resting(market) if order_id not in named))

    # -- the engine's events --------------------------------------------------------------------------------------

    @noted
    def on_order_event(self, event: Any) -> None:
        """Journal it; then protect a filled entry, or react to an order that did not come about."""
        status, order_id = status_of(event), event.client_order_id.value
        if order_id not in self._orders or status == "initialized":  # not ours, or journalled before it was sent
            return
        sent_for, purpose = self._orders[order_id]
        market, signal_id = sent_for.market, sent_for.signal_id
        order = self._order(order_id)
        rows: list[Row] = [("orders", order_row(event, order, market=market, signal_id=signal_id, purpose=purpose))]
        if status == "filled":
            rows.append(("fills", fill_row(event, market=market, signal_id=signal_id)))
        self._rows += rows
        plan = self.open.get(market)
        if plan is None or plan.purpose_of(order_id) is None:
            return
        if purpose == "entry":
            if order is not None and order.is_closed:
                self._entered(plan, order)
        elif status in _DEAD and purpose == "exit":
            self.open[market] = replace(plan, exit_order_id="")  # sent again on the next bar
        elif status in _REFUSED and purpose == "stop_loss" and plan.stage == "open":
            self.exit(plan, "unprotected")  # one that was canceled is sent again on the next bar

    @noted
    def on_position_event(self, event: Any) -> None:
        """Journal it; a closed position ends its trade."""
        market, status = self._markets.get(event.instrument_id), status_of(event)
        if market is None or status not in _POSITION_EVENTS:
            return
        plan = self.open.get(market)
        row = position_row(event, market=market, signal_id=plan.signal_id if plan else "")
        self._rows.append(("positions", row))
        if status != "closed":
            return
        self._gate.realise(self.now or row["ts"], row["realized_pnl"])
        if plan is not None:
            self._end(plan, closed_by(plan, event), row["ts"])

    # -- inside ---------------------------------------------------------------------------------------------------

    def _entered(self, plan: TradePlan, order: Any) -> None:
        if order.filled_qty.as_double() <= 0:
            self._end(plan, "unfilled", event_time(order.ts_last))
        else:
            plan = plan.filled(order.filled_qty.as_double(), float(order.avg_px))
            self.open[plan.market] = plan  # if protecting it fails, the next bar tries again
            if self.closing:
                self.exit(plan, self.closing)
            else:
                self._protect(plan)

    def _protect(self, plan: TradePlan) -> None:
        """Send stop and target for the whole position; a target that still rests is kept."""
        position = self.position(plan.market)
        if position is None:
            return
        factory = self._strategy.order_factory
        instrument = self._strategy.cache.instrument(self._instruments[plan.market])
        assert instrument is not None  # a position exists
        stop = trade_orders.stop_loss(factory, instrument, plan, position.quantity)
        plan = replace(plan, stop_order_id=stop.client_order_id.value)
        orders: list[tuple[Any, Purpose]] = [(stop, "stop_loss")]
        if not self._alive(plan.target_order_id):
            target = trade_orders.take_profit(factory, instrument, plan, position.quantity)
            plan = replace(plan, target_order_id=target.client_order_id.value)
            orders.append((target, "take_profit"))
        self._act(plan, orders)

    def _end(self, plan: TradePlan, reason: ExitReason, ts: datetime) -> None:
        ended = replace(plan, stage="closed", exit_reason=reason)
        self._rows.append(("plans", plan_row(ended, ts)))
        self.open.pop(plan.market, None)
        self._cancel(plan.stop_order_id, plan.target_order_id, plan.exit_order_id)

    def _adopt(self) -> None:
        """Plan for the engine's positions that no plan names: each has expired already."""
        for market in self._instruments:
            position = self.position(market)
            if position is not None and market not in self.open:
                self.open[market] = TradePlan.unknown(market, self._clock(), position.signed_qty)

    def _act(self, plan: TradePlan, orders: Sequence[tuple[Any, Purpose]], *, cancel: Sequence[str] = ()) -> None:
        """Send what reduces risk, and journal it with what led to it when the handler ends."""
        self._rows += self._planned(plan, orders)
        self._send(plan, orders, cancel=cancel)

    def _planned(self, plan: TradePlan, orders: Sequence[tuple[Any, Purpose]]) -> list[Row]:
        now = self._clock()
        rows: list[Row] = [("plans", plan_row(plan, now))]
        for order, purpose in orders:
            row = order_columns(order, market=plan.market, signal_id=plan.signal_id, purpose=purpose)
            rows.append(("orders", {"ts": now, **row, "status": "initialized", "reason": ""}))
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
                self._strategy.cancel_order(ClientOrderId(order_id))

    def _order(self, order_id: str) -> Any | None:
        return self._strategy.cache.order(ClientOrderId(order_id)) if order_id else None

    def _resting(self, market: str) -> list[str]:
        cache, strategy_id = self._strategy.cache, self._strategy.strategy_id
        orders = cache.client_order_ids_open(instrument_id=self._instruments[market], strategy_id=strategy_id)
        return [order_id.value for order_id in orders]

    def _alive(self, order_id: str) -> bool:
        order = self._order(order_id)
        return order is not None and not order.is_closed

    def _clock(self) -> datetime:
        return event_time(self._strategy.clock.timestamp_ns())
