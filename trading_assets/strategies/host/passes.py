"""One pass over the bars that are decided on together: what is asked, journalled and entered, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nautilus_trader.model import InstrumentId
from nautilus_trader.trading import Strategy

from trading_assets.core.errors import NodeError
from trading_assets.strategies.instruments import event_time
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.bracket_orders import BracketOrders
from trading_assets.strategies.orders.contracts import in_base
from trading_assets.strategies.orders.journal_rows import signal_row
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.risk.admission import EntryAdmission
from trading_assets.strategies.signals import ClosedBar, Journal, Signal, SignalSource

Decided = tuple[Signal, str, str]
"""A signal, what is done with it (enter, hold, refuse), and why."""
Entry = tuple[TradePlan, Any]
"""The plan of a new trade, and the engine's order that begins it."""


class DecisionPasses:
    """Asks for all signals of a pass at once, journals all decisions as one, then sends the entries.

    Parameters
    ----------
    strategy
        Whose clock and order factory these are.
    instruments
        Market -> the venue's instrument.
    signals
        Asked once a pass, about all of its bars.
    journal
        Has each decision; an entry before it is sent.
    trades
        What is open, and what sends the entries.
    admission
        Says what becomes of each signal, and the quantity of an entry.
    ids
        Makes the entries' ids.
    halted
        Asked with each signal: why nothing is entered, or None.
    """

    def __init__(
        self,
        strategy: Strategy,
        instruments: Mapping[str, InstrumentId],
        signals: SignalSource,
        journal: Journal,
        trades: BracketOrders,
        admission: EntryAdmission,
        ids: OrderIds,
        *,
        halted: Callable[[], str | None],
    ) -> None:
        self._strategy = strategy
        self._instruments = instruments
        self._signals = signals
        self._journal = journal
        self._trades = trades
        self._admission = admission
        self._ids = ids
        self._halted = halted

    def decide(self, bars: Sequence[ClosedBar]) -> list[Decided]:
        """Decide on these bars, and carry it out."""
        decided: list[Decided] = []
        entries: list[Entry] = []
        self._admission.begin_pass()
        for signal, bar in zip(self._signals.on_bars(bars), bars, strict=True):
            if signal is None:
                continue
            action, reason, quantity = self._verdict(signal, bar, entries)
            decided.append((signal, action, reason))
            if quantity is not None:
                entries.append(self._entry(signal, quantity))
        return self._carry_out(decided, entries) if decided else decided

    def _verdict(self, signal: Signal, bar: ClosedBar, entries: Sequence[Entry]) -> tuple[str, str, Any]:
        """Action, reason, and the quantity of an entry; a trade that the signal is opposite to may be closed."""
        open_now = [self._trades.open.get(signal.market), *(plan for plan, _ in entries)]
        held = next((one.signal_id for one in open_now if one and one.market == signal.market), None)
        action, reason, quantity = self._admission.verdict(signal, bar, held=held, halted=self._halted())
        if held is not None and self._closes_opposite(signal):
            reason = "closes the open trade of the other side"
        return action, reason, quantity

    def _closes_opposite(self, signal: Signal) -> bool:
        """Close the open trade where a trade of the other side is wanted and its plan says so."""
        plan = self._trades.open.get(signal.market)
        if plan is None or not plan.exits.on_opposite or plan.stage != "open":
            return False
        if signal.side is plan.side or not signal.enters:
            return False
        self._trades.exit(plan, "opposite")
        return True

    def _entry(self, signal: Signal, quantity: Any) -> Entry:
        instrument = self._instruments[signal.market]
        order_id = self._ids.entry(signal.market, signal.signal_id, signal.known_at)
        order = trade_orders.market_entry(
            self._strategy.order_factory, instrument, signal.side, signal.signal_id, quantity, order_id
        )
        size = self._trades.size(signal.market)
        base = quantity.as_double() if size is None else in_base(quantity, size)
        return TradePlan.of(signal, quantity=base, entry_order_id=order_id), order

    def _carry_out(self, decided: list[Decided], entries: list[Entry]) -> list[Decided]:
        """Journal the decisions and send the entries; what the journal does not hold is not entered."""
        now = event_time(self._strategy.clock.timestamp_ns())
        if entries:
            try:
                self._trades.enter(entries, [signal_row(*one, ts=now) for one in decided])
            except NodeError as error:
                decided = [
                    (one, "refuse", str(error)) if what == "enter" else (one, what, why) for one, what, why in decided
                ]
            else:
                return decided
        self._journal.keep_all([signal_row(*one, ts=now) for one in decided])
        return decided
