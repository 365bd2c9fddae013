"""Moves the stop of an open trade: when targets fill, and when a decision bar ends."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from nautilus_trader.model import ClientOrderId, InstrumentId
from nautilus_trader.trading import Strategy

from trading_assets.core.candles import EPOCH
from trading_assets.strategies.host.circuit_breaker import noted
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.journal_rows import plan_row
from trading_assets.strategies.orders.journalled import JournalledOrders
from trading_assets.strategies.orders.matching import Matching
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.funding_exit import NextFunding, costs_more_than_is_left
from trading_assets.strategies.plans.plan import ExitReason, Purpose, TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, Journal

REFUSED: Final = ("denied", "rejected")
_INSTANT: Final = timedelta(microseconds=1)
_SILENCE: Final = timedelta(seconds=1)
"""So long a venue may say nothing of a stop before the position is closed."""

_PARTS: Final = timedelta(seconds=1)
"""So long a stop may be larger than what is left: a target fills in parts, and each would have the stop replaced."""

UNHEARD: Final = r"INFLIGHT_TIMEOUT|NOT_FOUND_AT_VENUE"
"""How the engine refuses an order for the venue's silence, as a pattern."""

_BUSY: Final = re.compile(
    rf"{UNHEARD}|-1003\b|-1008\b|-1015\b|HTTP (429|503)|rate limit|overloaded"
    r"|too many (requests|orders|visits)|too frequent|frequency protection|is restarting"
    r"|internal server error|server timeout|high server load",
    re.IGNORECASE,
)
"""Refusals that say nothing of a stop's price: the venue was not heard, or had too much to do."""

Later = Callable[[datetime, Callable[[], None]], None]
"""(when, what): runs it then, on the engine's thread."""


class MovingStops(JournalledOrders):
    """The part of a strategy's orders that follows open trades.

    Parameters
    ----------
    matching
        How orders are matched.
    later
        Runs something at a time, on the engine's thread: a backtest waits for its candles so.
    ids
        Makes the orders' ids.
    next_funding
        Asked at the end of decision bars about trades that are closed before a costly payment.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: dict[str, InstrumentId],
        journal: Journal,
        gate: RiskGate,
        *,
        matching: Matching,
        later: Later | None,
        ids: OrderIds,
        next_funding: NextFunding | None,
    ) -> None:
        super().__init__(strategy, instruments, journal, gate, ids)
        self._matching = matching
        self._alarm = later
        self._shrinking: set[str] = set()
        self._later = later if matching.candle is not None else None
        self._next_funding = next_funding
        self._looks_at: datetime | None = None

    @abstractmethod
    def exit(self, plan: TradePlan, reason: ExitReason) -> None:
        """Close a trade at the market."""

    @abstractmethod
    def _protect(self, plan: TradePlan) -> None:
        """Send what does not rest of stop and targets."""

    @abstractmethod
    def _asked_anew(self, plan: TradePlan) -> bool:
        """Have another stop sent where the engine has yet to hear of the position; whether that is so."""

    def _at_bar_end(self, plan: TradePlan, bar: ClosedBar) -> None:
        """Let the stop follow what a decision bar has shown of a trade that was open in it."""
        moved = plan.after_targets()
        if bar.known_at - bar.ts == plan.bar and bar.ts >= plan.known_at:
            moved = moved.after_bar(bar.high, bar.low)
            if plan.exits.before_funding and self._leaves_before_funding(moved, bar):
                self.exit(plan, "funding")
                return
        self._follow(plan, moved)

    def _leaves_before_funding(self, plan: TradePlan, bar: ClosedBar) -> bool:
        due = None if self._next_funding is None else self._next_funding(plan.market, bar.known_at)
        if due is None or not bar.known_at < due.at <= bar.known_at + plan.bar:
            return False
        return costs_more_than_is_left(plan, bar.close, due.rate)

    def _target_filled(self, plan: TradePlan, order: Any) -> None:
        """Take note of a target's fill; what it moves is in force at once, or from a backtest's next candle on."""
        plan = plan.with_filled(order.client_order_id.value, self._filled(plan.market, order))
        self.open[plan.market] = plan
        if plan.left <= 0:  # the end of the position follows
            return
        self._rows.append(("plans", plan_row(plan, self._clock())))
        moved = plan.after_targets()
        if self._later is None:
            self._follow(plan, moved)
        elif moved.stop_price != plan.stop_price:
            self._when_candle_ends(plan)

    def _when_candle_ends(self, plan: TradePlan) -> None:
        candle, now = self._matching.candle, self._clock()
        assert candle is not None
        assert self._later is not None
        end = now + (EPOCH - now) % candle
        if (end - EPOCH) % plan.bar:  # else a decision bar ends with it
            self._later(end, partial(self._candle_ended, plan.market, plan.signal_id))

    @noted
    def _candle_ended(self, market: str, signal_id: str) -> None:
        plan = self.open.get(market)
        if plan is not None and plan.signal_id == signal_id and plan.stage == "open":
            self._follow(plan, plan.after_targets())

    def _follow(self, plan: TradePlan, moved: TradePlan) -> None:
        """Make a plan the one in force that says more of the same trade, and the stop at the venue what it says."""
        self.open[plan.market] = moved
        if moved is plan and self._later is not None:
            return
        if not self._sync_stop(moved) and moved is not plan:
            self._rows.append(("plans", plan_row(moved, self._clock())))

    def _sync_stop(self, plan: TradePlan, *, smaller: bool = False) -> bool:
        """Give the stop that rests the plan's price and the position's size, unless it has them or is on its way.

        One that is only too large can wait at a venue, where it is reduce-only: a target fills in many parts.
        """
        order, position = self._order(plan.stop_order_id), self.position(plan.market)
        if order is None or order.is_closed or position is None or order.is_pending_update or order.is_inflight:
            return False
        instrument = self._strategy.cache.instrument(self._instruments[plan.market])
        price, quantity = trade_orders.trigger_price(instrument, plan), self._to_protect(plan.market, position)
        resized = order.leaves_qty != quantity and not self._matching.simulated
        if order.trigger_price == price and not resized:
            return False
        if order.trigger_price == price and order.leaves_qty > quantity and not smaller and self._matching.reduces:
            self._shrink_soon(plan)
            return False
        if self._matching.modifies and not self._matching.binds:
            self._rows.append(("plans", plan_row(plan, self._clock())))
            self._strategy.modify_order(
                ClientOrderId(plan.stop_order_id), quantity=quantity if resized else None, trigger_price=price
            )
        else:
            self._cancel(plan.replaced_order_id)
            self._act(*self._with_stop(plan, instrument, quantity))
        self._settle(plan)
        return True

    def _shrink_soon(self, plan: TradePlan) -> None:
        if plan.market not in self._shrinking and self._alarm is not None:
            self._shrinking.add(plan.market)
            self._alarm(self._clock() + _PARTS, partial(self._shrink, plan.market, plan.signal_id))

    @noted
    def _shrink(self, market: str, signal_id: str) -> None:
        self._shrinking.discard(market)
        plan = self.open.get(market)
        if plan is not None and plan.signal_id == signal_id and plan.stage == "open":
            self._sync_stop(plan, smaller=True)

    def _with_stop(
        self, plan: TradePlan, instrument: Any, quantity: Any
    ) -> tuple[TradePlan, list[tuple[Any, Purpose]]]:
        """A stop for a quantity at the plan's price, and the plan that names it; none where one rests or is on its way.

        One that rests with another size or price stays until the new one has been accepted, unless both cannot rest.
        """
        current, before = self._order(plan.stop_order_id), plan.replaced_order_id
        if current is not None and not current.is_closed:
            if current.is_inflight or self._is_as_wanted(current, plan, instrument, quantity):
                return plan, []
            if self._matching.binds:
                self._cancel(plan.stop_order_id)  # the new one is sent when it is gone
                return plan, []
            before = plan.stop_order_id
        named, order_id = self._ids.next(plan, "stop_loss")
        stop = trade_orders.stop_loss(
            self._strategy.order_factory, instrument, named, quantity, order_id, reduce_only=self._matching.reduces
        )
        self._expect(plan.market, order_id)
        return replace(named, stop_order_id=order_id, replaced_order_id=before), [(stop, "stop_loss")]

    def _expect(self, market: str, order_id: str) -> None:
        """Look soon whether a stop that is sent now rests; a simulated one does."""
        if self._alarm is not None and not self._matching.simulated:
            self._alarm(self._clock() + _SILENCE, partial(self._unheard_stop, market, order_id))

    @noted
    def _unheard_stop(self, market: str, order_id: str) -> None:
        """Close a position whose stop the venue has said nothing of, unless an older one rests: it counts again."""
        plan, stop = self.open.get(market), self._order(order_id)
        if plan is None or plan.stop_order_id != order_id or plan.stage not in ("entering", "open"):
            return
        if stop is None or self._rests(order_id):
            return
        if self._rests(plan.replaced_order_id):
            self._put_back(plan, stop)
        elif not self._asked_anew(plan) and not stop.is_closed:
            self.exit(plan, "unprotected")

    def _put_back(self, plan: TradePlan, silent: Any) -> None:
        """Make the older stop, which rests, the plan's again; one that is too small is replaced at once.

        A stop that was to move does so at the next bar. Should the silent one rest after all, it goes with its trade.
        """
        older = self._order(plan.replaced_order_id)
        plan = self.open[plan.market] = replace(plan, stop_order_id=plan.replaced_order_id, replaced_order_id="")
        self._rows.append(("plans", plan_row(plan, self._clock())))
        if older is not None and older.leaves_qty < silent.quantity:
            self._sync_stop(plan)
        self._settle(plan)

    def _is_covered(self, plan: TradePlan) -> bool:
        """Whether the older stop rests, and is no smaller than the one that was to replace it."""
        older, newer = self._order(plan.replaced_order_id), self._order(plan.stop_order_id)
        if older is None or newer is None or not self._rests(plan.replaced_order_id):
            return False
        return bool(older.leaves_qty >= newer.quantity)

    def _rests(self, order_id: str) -> bool:
        """Whether the venue is known to have an order; one that is on its way protects nothing."""
        order = self._order(order_id)
        return order is not None and not order.is_closed and (order.venue_order_id is not None or not order.is_inflight)

    def _is_as_wanted(self, stop: Any, plan: TradePlan, instrument: Any, quantity: Any) -> bool:
        """Whether a stop that rests has the plan's price, and the size that it is to have."""
        sized = self._matching.simulated or stop.leaves_qty == quantity  # a simulated one follows by itself
        return bool(sized and stop.trigger_price == trade_orders.trigger_price(instrument, plan))

    def _stop_said(self, plan: TradePlan, order_id: str, status: str, reason: str) -> None:
        """React to what became of a stop; a simulated one that was canceled is sent again on the next bar."""
        if order_id != plan.stop_order_id:
            return
        if status == "rejected" and _BUSY.search(reason) and self._is_covered(plan):
            self._put_back(plan, self._order(order_id))
        elif status in REFUSED or status == "modify_rejected":  # a stop that has moved beyond the price is one reached
            self._leave_beyond(plan)
        elif status in ("accepted", "updated"):
            self._cancel(plan.replaced_order_id)
            if self._later is None and (status == "updated" or not self._matching.simulated):
                self._sync_stop(plan)
        elif status in ("canceled", "expired") and plan.stage == "open" and not self._matching.simulated:
            self._protect(plan)

    def _leave_beyond(self, plan: TradePlan) -> None:
        """Close a trade whose stop is no use where it is: one that has moved there counts as reached."""
        self.exit(plan, "unprotected" if plan.stop_kind == "stop_loss" else plan.stop_kind)

    def _leave_passed(self, market: str, price: float) -> None:
        """Close a trade whose stop the price has passed, and which rests all the same."""
        plan = self.open.get(market)
        if plan is not None and plan.stage == "open" and plan.is_stopped_at(price):
            self._leave_beyond(plan)

    def _as_filled(self, plan: TradePlan) -> TradePlan:
        """A plan with what the engine knows of its targets' orders."""
        for one in plan.targets:
            order = self._order(one.order_id)
            if order is not None:
                plan = plan.with_filled(one.order_id, self._filled(plan.market, order))
        return plan.after_targets() if plan.stage == "open" and plan.targets else plan

    def _settle(self, plan: TradePlan) -> None:
        """Have a backtest look at what arrives before its next candle, not after it."""
        if self._later is None or not plan.has_parts:
            return
        arrives = self._clock() + self._matching.latency + _INSTANT
        if arrives != self._looks_at:  # once is enough for all that is sent at one instant
            self._looks_at = arrives
            self._later(arrives, _nothing)


def _nothing() -> None:
    """What is sent has arrived."""
