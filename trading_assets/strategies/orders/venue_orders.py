"""What only a real venue asks of a strategy's orders: simulated ones fill at once, rest always, and forget nothing."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from trading_assets.journal import NewestTrades
from trading_assets.strategies.host.circuit_breaker import noted
from trading_assets.strategies.instruments import exact
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.contracts import contracts, in_base
from trading_assets.strategies.orders.journal_rows import by_fills, order_columns
from trading_assets.strategies.orders.limits import on_grid
from trading_assets.strategies.orders.refused_entries import ALL, RefusedEntries
from trading_assets.strategies.plans.plan import ExitReason, Purpose, TargetOrder, TradePlan

_BURST: Final = timedelta(milliseconds=200)
"""So long the rest of an entry may take before what has filled is protected alone: a market order's parts come at once,
and a stop for each of them would only be replaced by the next."""

_HEARD: Final = timedelta(milliseconds=400)
"""So long a venue may say nothing of an order before it is asked about it."""

_ASKS: Final = 8
"""How often it is asked about one order; then the engine's slower checks go on."""

FOUND: Final = "found at the venue"
"""Why an order stands in the journal that the journal had not sent."""


class VenueOrders(RefusedEntries):
    """The part of a strategy's orders that minds what a venue does in its own way.

    An order of which nothing is heard is asked about within half a second. An entry that fills in parts is protected
    before the rest has filled. A target that does not rest, because the venue has refused it or binds the balance, is
    closed at the market once the price is there. Orders that a killed process had sent before its journal had them are
    found by their ids. A trade whose position is gone, by no order of its own, waits for the account to say what became
    of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._covering: set[str] = set()
        self._untold: dict[str, dict[str, Any]] = {}
        self.trades = NewestTrades()

    @abstractmethod
    def _end(self, plan: TradePlan, reason: ExitReason, ts: datetime) -> None:
        """End a trade."""

    # -- spot balances --------------------------------------------------------------------------------------------

    def position(self, market: str) -> Any | None:
        """The engine's, if it is ours; of a spot balance, what fees have left below a step is none: nobody sells it."""
        found = super().position(market)
        if found is None or not self._matching.binds:
            return found
        return found if self._steps(market, found) > 0 else None

    def _to_close(self, market: str, position: Any) -> Any:
        """How much an order takes that closes a position: of a spot balance the whole steps that are there.

        A fee may have been taken from what was bought; the engine rounds what is left to its nearest step, and an order
        for more than there is would be refused.
        """
        if not self._matching.binds:
            return position.quantity
        instrument = self._strategy.cache.instrument(self._instruments[market])
        return position.quantity if instrument is None else instrument.make_qty(self._steps(market, position))

    def _to_protect(self, market: str, position: Any) -> Any:
        """How much a stop takes: what the fills come to, where that is more than the engine's position.

        The engine may have counted a fill twice; reduce-only, a stop that is too large opens nothing.
        """
        instrument, trade = self._strategy.cache.instrument(self._instruments[market]), self.trades[market]
        known = 0.0 if trade is None or trade.is_flat else trade.quantity
        if self._matching.simulated or not self._matching.reduces or instrument is None:
            return self._to_close(market, position)
        if known * float(position.signed_qty) <= 0 or abs(known) * ALL <= self.held(market, position):
            return self._to_close(market, position)
        return instrument.make_qty(contracts(abs(known), self.size(market)))

    def _steps(self, market: str, position: Any) -> float:
        instrument = self._strategy.cache.instrument(self._instruments[market])
        held = abs(float(position.signed_qty))
        return held if instrument is None else on_grid(held, exact(instrument.size_increment), math.floor)

    # -- orders of which nothing is heard -----------------------------------------------------------------------------

    def _send(self, plan: TradePlan, orders: Sequence[tuple[Any, Purpose]], *, cancel: Sequence[str] = ()) -> None:
        super()._send(plan, orders, cancel=cancel)
        if self._alarm is None or self._matching.simulated:
            return
        for order, _ in orders:
            self._alarm(self._clock() + _HEARD, partial(self._ask_again, order.client_order_id.value, _ASKS))

    @noted
    def _ask_again(self, order_id: str, left: int) -> None:
        """Have the engine ask the venue about an order that should rest by now, or be filled.

        What it says of the order counts by the order's own sum, whatever of its fills was heard: none is doubled.
        """
        order = self._order(order_id)
        if order is None or order.is_closed or self._alarm is None:
            return
        if (order.is_inflight or self._orders[order_id][1] in ("entry", "exit")) and not self._is_explained(order_id):
            self._strategy.query_order(order)
            plan = self.open.get(self._orders[order_id][0].market)
            if plan is not None and plan.entry_order_id == order_id and left < _ASKS and self.asks:
                self.vanished.add(plan.market)  # what the venue says of it may tell the engine nothing
            if left > 1:
                self._alarm(self._clock() + _HEARD, partial(self._ask_again, order_id, left - 1))

    def _is_explained(self, order_id: str) -> bool:
        """Whether the engine's position shows already what an order has done: told of it, it would count twice."""
        sent_for, purpose = self._orders[order_id]
        position, order = self.position(sent_for.market), self._order(order_id)
        if purpose == "exit" or position is None or order is None:
            return purpose == "exit" and position is None
        size = self.size(sent_for.market)
        return purpose == "entry" and self.held(sent_for.market, position) >= in_base(order.quantity, size) * ALL

    def query(self, order_id: str) -> None:
        """Have the engine ask the venue about an order that it has open."""
        order = self._order(order_id)
        if order is not None and not order.is_closed:
            self._strategy.query_order(order)

    # -- entries in parts -----------------------------------------------------------------------------------------

    def _part_filled(self, plan: TradePlan) -> None:
        """Look in a moment whether the entry is still filling."""
        if plan.market not in self._covering and self._alarm is not None:
            self._covering.add(plan.market)
            self._alarm(self._clock() + _BURST, partial(self._cover, plan.market, plan.signal_id))

    @noted
    def _cover(self, market: str, signal_id: str) -> None:
        """Protect what has filled of an entry that still fills."""
        self._covering.discard(market)
        plan, position = self.open.get(market), self.position(market)
        if plan is None or plan.signal_id != signal_id or plan.stage != "entering" or position is None:
            return
        if float(position.signed_qty) * plan.side <= 0:
            return
        quantity, price = self.held(market, position), float(position.avg_px_open)
        entry = self._order(plan.entry_order_id)
        size = self.size(market)
        whole = math.inf if entry is None else in_base(entry.quantity, size) * ALL
        if quantity >= whole or (entry is not None and entry.is_closed):  # the rest was not told, or never comes
            self._opened(plan, quantity, price)
            return
        so_far = plan.filled(quantity, price)
        instrument = self._strategy.cache.instrument(self._instruments[market])
        covered = self._to_protect(market, position)
        plan, orders = self._with_stop(replace(plan, stop_price=so_far.stop_price), instrument, covered)
        if orders:
            self._act(plan, orders)
        self._part_filled(plan)  # until the entry has ended

    # -- what was not told ----------------------------------------------------------------------------------------

    def _changed(self, market: str, plan: TradePlan | None) -> None:
        """Follow a position whose change no order's event explains: the engine found it by comparing."""
        if plan is None:
            self._filled_after_all(market)
            return
        self._unheard.pop(market, None)
        if plan.stage == "open":
            self._sync_stop(plan)
        elif plan.stage == "entering":
            self._part_filled(plan)

    # -- positions that are gone ----------------------------------------------------------------------------------

    def _gone(self, plan: TradePlan, reason: ExitReason, ts: datetime) -> None:
        """End a trade whose position is gone; one that no order of its own has closed waits for the account's word.

        Its stop rests until then: the engine may have counted a fill twice, and reduce-only it opens nothing.
        """
        lost = reason == "lost" and self.asks and not self._matching.simulated
        if lost or self._asked_about(plan):
            self.vanished.add(plan.market)
            stops = () if self._matching.reduces else (plan.stop_order_id, plan.replaced_order_id)
            self._cancel(*stops, *plan.target_order_ids)
        else:
            self._tell_result(plan)
            self._end(plan, reason, ts)

    def _asked_about(self, plan: TradePlan) -> bool:
        """Whether the account is asked what closed a trade: none of the fills that were told of did."""
        return self.asks and not self._matching.simulated and not self._fills_close(plan)

    def _tell_result(self, plan: TradePlan) -> None:
        """Tell what a trade has made whose end waited for the account's fills: the engine's own result lacks them."""
        row, trade = self._untold.pop(plan.market, None), self.trades[plan.market]
        if row is None or row["signal_id"] != plan.signal_id:
            return
        if trade is not None and trade.is_flat and trade.fills[0].signal_id == plan.signal_id:
            row = by_fills(row, trade, over=True)
        self._rows.append(("positions", row))
        self._gate.realise(self.now or row["ts"], row["realized_pnl"])

    def _fills_close(self, plan: TradePlan) -> bool:
        """Whether the fills that were told of account for it: an engine may find by comparing that a position is gone.

        A position that it takes for closed without them may still be in its books when the next trade is entered.
        """
        trade = self.trades[plan.market]
        if self._matching.binds or trade is None or trade.fills[-1].signal_id != plan.signal_id:
            return True
        return trade.is_flat

    @noted
    def conclude(self, market: str, reason: ExitReason) -> None:
        """End a trade whose position is gone, for the reason that the account gave."""
        plan = self.open.get(market)
        waits = plan is not None and plan.stage == "entering" and self._alive(plan.entry_order_id)
        if market in self.vanished and plan is not None and not waits and self.position(market) is None:
            trade = self.trades[market]
            if trade is not None and self._is_apart(market):  # no event of the engine tells what it has made
                self._gate.realise(self.now or self._clock(), trade.realized_pnl)
            self._tell_result(plan)
            self._end(plan, reason, self._clock())
        self.vanished.discard(market)

    def _left_to_account(self, market: str) -> bool:
        """Whether the engine does not know a market; whoever asks the account minds the trade there."""
        apart = self._is_apart(market)
        if apart and self.asks:
            self.vanished.add(market)
        return apart

    def _is_apart(self, market: str) -> bool:
        """Whether the engine does not know a market, as one that its venue trades no more: it sends no orders there."""
        return self._strategy.cache.instrument(self._instruments[market]) is None

    # -- targets that do not rest ---------------------------------------------------------------------------------

    def _reached(self, plan: TradePlan, price: float) -> list[int]:
        """Targets that a price has reached and no order stands for."""
        return [
            number
            for number, one in enumerate(plan.targets)
            if self._is_due(plan, one) and plan.side * (price - one.price) >= 0
        ]

    def _is_due(self, plan: TradePlan, target: TargetOrder) -> bool:
        """Whether a target stands open and no order stands for it; less than a step of quantities is nothing."""
        if target.left <= 0 or self._alive(target.order_id):
            return False
        instrument = self._strategy.cache.instrument(self._instruments[plan.market])
        step = math.inf if instrument is None else in_base(instrument.size_increment, self.size(plan.market))
        return target.left >= step * ALL

    def _close_parts(self, plan: TradePlan, reached: list[int]) -> None:
        """Close what targets were to close, at the market."""
        if self._matching.binds or sum(plan.targets[one].left for one in reached) >= plan.left * ALL:
            self.exit(plan, "take_profit")
            return
        factory, targets = self._strategy.order_factory, list(plan.targets)
        instrument = self._strategy.cache.instrument(self._instruments[plan.market])
        assert instrument is not None  # a position exists
        orders: list[tuple[Any, Purpose]] = []
        for number in reached:
            plan, order_id = self._ids.next(plan, "take_profit")
            quantity = instrument.make_qty(contracts(targets[number].left, self.size(plan.market)))
            order = trade_orders.market_exit(factory, instrument.id, plan, quantity, order_id, purpose="take_profit")
            targets[number] = targets[number].by(order_id)
            orders.append((order, "take_profit"))
        self._act(replace(plan, targets=tuple(targets)), orders)

    # -- orders that no journal knows of --------------------------------------------------------------------------

    def _with_unwritten(self, plan: TradePlan) -> TradePlan:
        """A plan with those orders that rest for it and that the journal of a killed process does not have."""
        if self._matching.simulated:
            return self._ids.after_a_crash(plan)
        for order_id, purpose in self._ids.unwritten(plan):
            if not self._alive(order_id):
                continue
            self._orders[order_id] = (plan, purpose)
            self._rows += self._found_rows(plan, purpose, order_id)
            if purpose == "stop_loss" and not self._alive(plan.stop_order_id):
                plan = replace(plan, stop_order_id=order_id)
            elif purpose == "exit" and not self._alive(plan.exit_order_id):
                plan = replace(plan, stage="exiting", exit_order_id=order_id)
            elif purpose == "take_profit":
                plan = self._with_target(plan, order_id)
        return self._ids.after_a_crash(plan)

    def _found_rows(self, plan: TradePlan, purpose: Purpose, order_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The order's life so far: the journal follows those of which it has the beginning."""
        columns = order_columns(
            self._order(order_id),
            market=plan.market,
            signal_id=plan.signal_id,
            purpose=purpose,
            size=self.size(plan.market),
        )
        row = {"ts": self._clock(), **columns, "reason": FOUND, "venue_order_id": None}
        return [("orders", row | {"status": status}) for status in ("initialized", "accepted")]

    def _with_target(self, plan: TradePlan, order_id: str) -> TradePlan:
        """A plan with an order for the nearest target that has none."""
        targets = list(plan.targets)
        for number, one in enumerate(targets):
            if one.left > 0 and not self._alive(one.order_id):
                targets[number] = one.by(order_id)
                break
        return replace(plan, targets=tuple(targets))
