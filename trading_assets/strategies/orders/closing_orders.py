"""How a strategy's trades are closed: at the market, whatever asks for it, and nothing of them rests afterwards."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from trading_assets.core.sides import Side
from trading_assets.strategies.host.circuit_breaker import noted
from trading_assets.strategies.instruments import exact
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.journal_rows import plan_row
from trading_assets.strategies.orders.limits import on_grid
from trading_assets.strategies.orders.venue_orders import VenueOrders
from trading_assets.strategies.plans.plan import ExitReason, TradePlan

_EXIT_SILENCE: Final = timedelta(seconds=1)
"""So long a venue may say nothing of an exit before it is sent again; after each refusal twice as long as before."""

_LONGEST_PAUSE: Final = timedelta(seconds=30)
_BOOKED: Final = timedelta(seconds=10)
"""So long a refused exit waits on spot, where no flag keeps a second one from selling what is not ours: by then the
account has said whether the first one sold."""


class ClosingOrders(VenueOrders):
    """The part of a strategy's orders that closes trades.

    Attributes
    ----------
    closing
        If set, an entry that still fills is closed at once, for this reason.
    halts
        If set, asked whether a trade is to be closed, as trading of its market or model is halted.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.closing: ExitReason = ""
        self._refused_exits = Counter[str]()
        self.halts: Callable[[TradePlan], bool] | None = None

    @noted
    def exit_all(self, reason: ExitReason) -> None:
        """Close whatever is open at the market, also what no plan names; an entry that still fills is closed then."""
        self.closing = reason
        self._adopt()
        for plan in list(self.open.values()):
            self.exit(plan, reason)

    @noted
    def exit_halted(self) -> None:
        """Close what is to be closed at the market; what does not fill is sent again on the next bar."""
        for plan in list(self.open.values()):
            if plan.stage != "exiting" and self.halts is not None and self.halts(plan):
                self.exit(plan, "halted")

    @noted
    def close_unminded(self, market: str) -> None:
        """Close what the books call ours on a market where no trade is open, whatever order has opened it."""
        before, self.adopts = self.adopts, True
        position, self.adopts = self.position(market), before
        if position is not None and market not in self.open:
            self.open[market] = TradePlan.unknown(market, self._clock(), self._signed(market, position))
            self.exit(self.open[market], "unprotected")

    @noted
    def exit(self, plan: TradePlan, reason: ExitReason) -> None:
        """Cancel stop and targets and close the position at the market, reduce-only.

        At a venue the stop rests until the position is gone: an order of which no answer comes closes nothing. What the
        engine knows nothing of is left to the account, once the plan says that it is over.
        """
        if self.asks and plan.stage == "open" and self._is_apart(plan.market):
            self._act(replace(plan, stage="exiting", exit_reason=reason), [])
            return
        position = self.position(plan.market)
        if position is None or (plan.stage == "exiting" and plan.exit_order_id):
            return
        rest = (plan.entry_order_id, plan.stop_order_id, plan.replaced_order_id, *plan.target_order_ids)
        plan = replace(plan, stage="exiting", exit_reason=reason)
        if self._matching.binds and any(map(self._alive, rest)):
            self._act(replace(plan, exit_order_id=""), [], cancel=rest)  # sent when they have let go of the balance
            return
        factory, instrument = self._strategy.order_factory, self._instruments[plan.market]
        plan, order_id = self._ids.next(plan, "exit")
        order = trade_orders.market_exit(
            factory,
            instrument,
            plan,
            self._to_close(plan.market, position),
            order_id,
            reduce_only=self._matching.reduces,
            held=Side.LONG if float(position.signed_qty) > 0 else Side.SHORT,  # a target may have closed more than was
        )
        if self._matching.reduces and not self._matching.simulated:
            rest = (plan.entry_order_id, *plan.target_order_ids)
        self._act(replace(plan, exit_order_id=order_id), [(order, "exit")], cancel=rest)
        self._expect_exit(plan.market, order_id)
        self._settle(plan)

    def _expect_exit(self, market: str, order_id: str) -> None:
        """Look soon whether the venue has an exit that is sent now."""
        if self._alarm is not None and not self._matching.simulated and self._matching.reduces:
            self._alarm(self._clock() + _EXIT_SILENCE, partial(self._unheard_exit, market, order_id))

    @noted
    def _unheard_exit(self, market: str, order_id: str) -> None:
        """Send an exit again of which nothing is heard, where no stop rests; reduce-only, one closes nothing."""
        plan = self.open.get(market)
        if plan is None or plan.exit_order_id != order_id or not self._alive(order_id) or self._rests(order_id):
            return
        if not self._rests(plan.stop_order_id) and not self._rests(plan.replaced_order_id):
            self.exit(replace(plan, exit_order_id=""), plan.exit_reason)

    def _exit_later(self, plan: TradePlan) -> None:
        """Send an exit again that came to nothing: on the next bar; at a venue soon, whether one comes or not.

        A market that is silent or in quarantine has no bars, and what closes there may be just that.
        """
        self.open[plan.market] = replace(plan, exit_order_id="")
        if self._alarm is not None and not self._matching.simulated:
            self._refused_exits[plan.signal_id] += 1
            first = _BOOKED if self._matching.binds else _EXIT_SILENCE
            pause = min(first * 2 ** (self._refused_exits[plan.signal_id] - 1), _LONGEST_PAUSE)
            self._alarm(self._clock() + pause, partial(self._exit_anew, plan.market, plan.signal_id))

    @noted
    def _exit_anew(self, market: str, signal_id: str) -> None:
        """Send an exit that waits."""
        plan = self.open.get(market)
        if plan is not None and plan.signal_id == signal_id and plan.stage == "exiting":
            self._exit_again(plan)

    def _exit_again(self, plan: TradePlan) -> None:
        """Close what an exit has left: targets that the same bar reached may have filled while it was on its way."""
        if self._alive(plan.exit_order_id):
            return
        if self._is_sold(plan):
            self._end(plan, plan.exit_reason, self._clock())
        else:
            self.exit(replace(plan, exit_order_id=""), plan.exit_reason)

    def _is_sold(self, plan: TradePlan) -> bool:
        """Whether the account's fills say that a balance is sold: an exit that counts as refused may have done it.

        The engine never hears of it; a second one would sell what else is owned of the coin.
        """
        trade = self.trades[plan.market]
        if not self._matching.binds or trade is None or trade.fills[-1].signal_id != plan.signal_id:
            return False
        instrument = self._strategy.cache.instrument(self._instruments[plan.market])
        return trade.is_flat or (
            instrument is not None and on_grid(trade.quantity, exact(instrument.size_increment), math.floor) <= 0
        )

    def _end(self, plan: TradePlan, reason: ExitReason, ts: datetime) -> None:
        ended = replace(plan, stage="closed", exit_reason=reason)
        self._rows.append(("plans", plan_row(ended, ts)))
        self.open.pop(plan.market, None)
        self._refused_exits.pop(plan.signal_id, None)
        self._settled(plan.market)
        rest = (plan.stop_order_id, plan.replaced_order_id, *plan.target_order_ids, plan.exit_order_id)
        if not self._matching.simulated:  # nothing of it may meet a later trade: reduce-only does not know whose it is
            ours = filter(self._ids.is_ours, self._resting(plan.market))
            rest = tuple(dict.fromkeys((plan.entry_order_id, *rest, *ours)))
        self._cancel(*rest)
        self._settle(plan)

    def _adopt(self) -> None:
        """Plan for the engine's positions that no plan names: each has expired already."""
        for market in self._instruments:
            position = self.position(market)
            if position is not None and market not in self.open:
                self.open[market] = TradePlan.unknown(market, self._clock(), self._signed(market, position))
