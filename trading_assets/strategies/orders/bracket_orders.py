"""Keeps a strategy's open trades: sends their orders, journals what becomes of them, leaves none unprotected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from nautilus_trader.model import InstrumentId
from nautilus_trader.trading import Strategy

from trading_assets.journal import PriceOf
from trading_assets.strategies.host.circuit_breaker import Row, noted
from trading_assets.strategies.instruments import event_time
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.closing_orders import ClosingOrders
from trading_assets.strategies.orders.contracts import contracts
from trading_assets.strategies.orders.journal_rows import by_fills, fill_row, order_row, position_row, status_of
from trading_assets.strategies.orders.limits import OrderLimits
from trading_assets.strategies.orders.matching import SANDBOX, Matching
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.orders.stop_moves import REFUSED, Later
from trading_assets.strategies.plans.funding_exit import NextFunding
from trading_assets.strategies.plans.parts import parts_of
from trading_assets.strategies.plans.plan import Purpose, TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, Journal

_DEAD: Final = (*REFUSED, "canceled", "expired")
_POSITION_EVENTS: Final = ("opened", "changed", "closed")

OnRefused = Callable[[TradePlan, Purpose, Any, str], None]


class BracketOrders(ClosingOrders):
    """At most one trade a market, of either side: entry, then the orders of its exit plan, which rest at the venue.

    A stop-market for all that is left, and a limit for each target. What fills of them moves the stop, and so does the
    end of a decision bar; where the trade is over, what is left of them is canceled.

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
    matching
        How orders are matched.
    later
        Runs something at a time, on the engine's thread.
    ids
        Makes the orders' ids.
    next_funding
        Asked about trades that are closed before a costly payment.

    Attributes
    ----------
    on_refused
        If set, told of each order that was refused: plan, purpose, the engine's order, the reason.
    price_of
        If set, asked what a coin is worth that a fee was taken in.
    trades
        At a venue, the newest trade of each market by its fills; those of a process before are put there.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: dict[str, InstrumentId],
        journal: Journal,
        gate: RiskGate,
        plans: Iterable[TradePlan],
        *,
        matching: Matching = SANDBOX,
        later: Later | None = None,
        ids: OrderIds | None = None,
        next_funding: NextFunding | None = None,
    ) -> None:
        super().__init__(
            strategy,
            instruments,
            journal,
            gate,
            matching=matching,
            later=later,
            ids=ids or OrderIds(),
            next_funding=next_funding,
        )
        self.open.update((plan.market, plan) for plan in plans if plan.stage != "closed" and plan.market in instruments)
        self.on_refused: OnRefused | None = None
        self.price_of: PriceOf | None = None
        self._markets = {instrument: market for market, instrument in instruments.items()}

    # -- asked and told by the strategy ---------------------------------------------------------------------------

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
    def manage(self, market: str, price: float, *, bar: ClosedBar | None = None) -> None:
        """On each bar: close what has expired, see that what is open is protected, and let its stop follow.

        A trade that expires at the end of a decision bar is closed on that bar, not on the finer one that ends with it
        (without ``bar``): the decision on that bar finds it open, here as in a backtest.
        """
        plan = self.open.get(market)
        if plan is None or self.now is None:
            return
        if plan.stage == "entering":
            entry = self._order(plan.entry_order_id)
            if self._in_doubt(market):
                if self.now > plan.expires_at:
                    self._asked_anew(plan)  # by now the engine should have heard of it
                return
            if entry is not None and entry.is_closed:  # the handler of its end failed
                self._entered(plan, entry)
            elif self.now > plan.expires_at and not self._matching.simulated:
                self.exit(plan, "time")  # what has filled of it
        elif plan.stage == "exiting":
            self._exit_again(plan)
        elif self.halts is not None and self.halts(plan):
            self.exit(plan, "halted")
        elif self.now > plan.expires_at or (bar is not None and self.now == plan.expires_at):
            self.exit(plan, "time")
        else:
            self._look_after(plan, price, bar)

    def _look_after(self, plan: TradePlan, price: float, bar: ClosedBar | None) -> None:
        if not self._alive(plan.stop_order_id):
            if plan.is_stopped_at(price):
                self.exit(plan, "unprotected")
            else:
                self._protect(plan)
        elif not self._matching.simulated and (reached := self._reached(plan, price)):
            self._close_parts(plan, reached)
        elif plan.is_moving and bar is not None:
            self._at_bar_end(plan, bar)
        elif plan.is_moving:
            self._sync_stop(plan)
        if self._matching.takes_passed_stops:
            self._leave_passed(plan.market, price)

    @noted
    def resume(self) -> None:
        """After a restart: compare the plans with the engine's positions and orders.

        A trade whose position is still there goes on with its own stop, target and expiry; one whose position is gone
        is ended as ``lost``, or left to the account where that is asked; a position without a plan is closed on the
        next bar; an order that no plan names is canceled. A trade of a market that the engine does not know is left to
        the account, or, where none is asked, as it is: nothing is known of its position.
        """
        for plan in list(self.open.values()):
            for order_id, purpose in plan.orders():
                self._orders[order_id] = (plan, purpose)
            plan = self.open[plan.market] = self._with_unwritten(self._as_filled(plan))
            if self._left_to_account(plan.market):
                continue
            plan = self.open[plan.market] = self._in_steps(plan)
            entry = self._order(plan.entry_order_id)
            if self.position(plan.market) is None:
                if plan.stage == "entering" and entry is not None and not entry.is_closed:
                    continue  # still on its way
                self._gone(plan, "lost", self._clock())
            elif plan.stage == "entering":
                self._entered(plan, entry)
            elif plan.stage == "exiting" and not self._alive(plan.exit_order_id):
                self.open[plan.market] = replace(plan, exit_order_id="")  # sent again on the next bar
            elif plan.stage == "open" and not self._matching.simulated and not self._alive(plan.stop_order_id):
                self._protect_again(plan)
        self._adopt()
        for market in self._instruments:
            named = {order_id for order_id, _ in self.open[market].orders()} if market in self.open else set()
            self._cancel(*(order_id for order_id in self._resting(market) if order_id not in named))

    # -- the engine's events --------------------------------------------------------------------------------------

    @noted
    def on_order_event(self, event: Any) -> None:
        """Journal it; then protect a filled entry, or react to an order that did not come about."""
        status, order_id = status_of(event), self._our_id(event.client_order_id.value)
        if order_id not in self._orders or status == "initialized":  # not ours, or journalled before it was sent
            return
        sent_for, purpose = self._orders[order_id]
        market, signal_id = sent_for.market, sent_for.signal_id
        order = self._order(order_id)
        size = self.size(market)
        row = order_row(event, order, market=market, signal_id=signal_id, purpose=purpose, size=size)
        row["order_id"] = order_id
        rows: list[Row] = [("orders", row)]
        if status == "filled":
            filled_by = self._matching.filled_by
            row = fill_row(
                event, market=market, signal_id=signal_id, filled_by=filled_by, known=self.price_of, size=size
            )
            row |= {"order_id": order_id, "event_id": f"{order_id}:{row['trade_id']}"}
            rows.append(("fills", row))
            if not self._matching.simulated:
                self.trades.add(row)
        self._rows += rows
        if status == "rejected" and purpose != "entry":
            self._doubt(market, order_id)
        plan = self.open.get(market)
        if plan is None or plan.purpose_of(order_id) is None:
            return
        if status in REFUSED and purpose == "entry":
            self._refused_entry(plan, rows[0][1]["reason"])
        if status in REFUSED and self.on_refused is not None:
            self.on_refused(plan, purpose, order, rows[0][1]["reason"])
        self._order_said(plan, purpose, order, order_id, status, rows[0][1]["reason"])

    def _order_said(
        self, plan: TradePlan, purpose: Purpose, order: Any, order_id: str, status: str, reason: str
    ) -> None:
        """React to what became of an order of an open trade."""
        if purpose == "entry":
            self._entry_said(plan, order, status)
        elif status in _DEAD and purpose == "exit":
            self._exit_later(plan)
        elif plan.stage == "exiting":
            if self._matching.binds and status in _DEAD:
                self._exit_again(plan)  # one less that holds the balance
        elif purpose == "stop_loss":
            self._stop_said(plan, order_id, status, reason)
        elif plan.stage == "open" and status == "filled":
            self._target_filled(plan, order)

    def _entry_said(self, plan: TradePlan, order: Any, status: str) -> None:
        """React to an entry that has filled, wholly or in part, or has ended otherwise."""
        if order is None:
            return
        if plan.stage == "exiting" and not self._matching.simulated:
            if order.is_closed:
                self._exit_again(plan)
        elif status == "rejected" and self.asks and not self._matching.simulated and plan.stage == "entering":
            self.vanished.add(plan.market)  # a venue may fill what it has rejected: the account says so
        elif order.is_closed:
            if plan.stage == "entering" or self._matching.simulated:
                self._entered(plan, order)
        elif status == "filled" and not self._matching.simulated:
            self._part_filled(plan)

    @noted
    def on_position_event(self, event: Any) -> None:
        """Journal it; a closed position ends its trade."""
        market, status = self._markets.get(event.instrument_id), status_of(event)
        if market is None or status not in _POSITION_EVENTS:
            return
        plan = self.open.get(market)
        row, over = self._position_row(event, market, plan, over=status == "closed")
        if over and plan is not None and self._asked_about(plan):
            self._untold[market] = row  # what it has made is told by the account's fills
            self._gone(plan, plan.closed_by(self._closing_order(event, market)), row["ts"])
            return
        self._untold.pop(market, None)
        self._rows.append(("positions", row))
        if not over:
            if plan is None and event.opening_order_id.value in self._orders:  # a target met a position that was gone
                self._adopt()
                self.exit(self.open[market], "unprotected")
            elif plan is not None and plan.stage == "exiting" and plan.exit_order_id:
                self._exit_again(plan)
            elif not self._matching.simulated:
                self._changed(market, plan)
            return
        self._gate.realise(self.now or row["ts"], row["realized_pnl"])
        if plan is not None:
            self._gone(plan, plan.closed_by(self._closing_order(event, market)), row["ts"])

    def _position_row(
        self, event: Any, market: str, plan: TradePlan | None, *, over: bool
    ) -> tuple[dict[str, Any], bool]:
        """The ``positions`` row of an event, and whether the position is over; at a venue by its fills."""
        signal_id = plan.signal_id if plan else ""
        row = position_row(event, market=market, signal_id=signal_id, size=self.size(market))
        if self._matching.simulated:
            return row, over
        trade = self.trades[market]
        over = over or (plan is not None and plan.stage in ("open", "exiting") and self.position(market) is None)
        if trade is None or (plan is not None and trade.fills[-1].signal_id != plan.signal_id):
            return row, over  # the engine knows more than was told
        if over and not trade.is_flat:
            if not self._matching.binds:
                return row, over
            self.trades.end(market)
        return by_fills(row, trade, over=over), over

    def _closing_order(self, event: Any, market: str) -> str | None:
        """Which order has closed a position; of a spot balance that of the last fill, for a rest of it may be there."""
        order = getattr(event, "closing_order_id", None)
        trade = self.trades[market]
        if order is None and trade is not None and self._matching.binds:
            return trade.fills[-1].order_id
        return self._our_id(order.value) if order is not None else None

    # -- inside ---------------------------------------------------------------------------------------------------

    def _entered(self, plan: TradePlan, order: Any) -> None:
        if self._filled(plan.market, order) <= 0:
            self._end(plan, "unfilled", event_time(order.ts_last))
        else:
            self._opened(plan, self._filled(plan.market, order), float(order.avg_px))

    def _opened(self, plan: TradePlan, quantity: float, price: float) -> None:
        """Protect a trade that has come to be, or close it again where it must not be."""
        self._settled(plan.market)
        plan = self._divided(plan, quantity, price)
        self.open[plan.market] = plan  # if protecting it fails, the next bar tries again
        if self.closing:
            self.exit(plan, self.closing)
        elif self.halts is not None and self.halts(plan):
            self.exit(plan, "halted")
        else:
            self._protect(plan)

    def _in_steps(self, plan: TradePlan) -> TradePlan:
        """A trade whose entry was found at the venue, with parts that the venue takes: its shares were not rounded."""
        begun = plan.stage == "open" and plan.best_price == plan.entry_price and plan.stop_kind == "stop_loss"
        if not begun or not plan.has_parts or any(one.order_id or one.filled for one in plan.targets):
            return plan
        return self._divided(plan, plan.quantity, plan.entry_price)

    def _divided(self, plan: TradePlan, quantity: float, price: float) -> TradePlan:
        """The plan of a filled entry, with what each target closes."""
        if not plan.has_parts:
            return plan.filled(quantity, price)
        limits = OrderLimits.of(self._strategy.cache.instrument(self._instruments[plan.market]))
        prices = plan.filled(quantity, price).targets
        return plan.filled(
            quantity, price, parts_of(quantity, plan.exits.targets, [one.price for one in prices], limits)
        )

    def _protect_again(self, plan: TradePlan) -> None:
        """Send a stop that was lost, or have one of this process replace one that the engine knows by another name."""
        if self._matching.binds and self._recognise(plan):
            self._cancel(plan.stop_order_id)
        else:
            self._protect(plan)  # the venue has a price, and says so where the stop is beyond it

    def _protect(self, plan: TradePlan) -> None:
        """Send a stop for the whole position and the targets; those that still rest are kept."""
        position = self.position(plan.market)
        if position is None:
            return
        factory = self._strategy.order_factory
        instrument = self._strategy.cache.instrument(self._instruments[plan.market])
        assert instrument is not None  # a position exists
        whole = self._to_close(plan.market, position)
        plan, orders = self._with_stop(plan, instrument, self._to_protect(plan.market, position))
        flagged, targets = not (plan.has_parts and self._matching.simulated), list(plan.targets)
        for number, one in enumerate(targets):
            if not self._is_due(plan, one) or self._matching.binds:
                continue
            quantity = instrument.make_qty(contracts(one.left, self.size(plan.market))) if plan.has_parts else whole
            plan, order_id = self._ids.next(plan, "take_profit")
            order = trade_orders.take_profit(
                factory, instrument, plan, one.price, quantity, order_id, reduce_only=flagged
            )
            targets[number] = one.by(order_id)
            orders.append((order, "take_profit"))
        self._act(replace(plan, targets=tuple(targets)), orders)
