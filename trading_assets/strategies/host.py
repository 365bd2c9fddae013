"""What runs a strategy in the engine: the same class in the backtest and in the live node, for every strategy."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from nautilus_trader.model import Bar, BarType, InstrumentId, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from trading_assets.core.candles import EPOCH, timeframe_delta, timeframe_minutes
from trading_assets.core.errors import NodeError
from trading_assets.strategies.circuit_breaker import guarded
from trading_assets.strategies.decision_queue import DecisionQueue
from trading_assets.strategies.doubtful_fills import DoubtfulFills, Fill
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host_config import HostConfig
from trading_assets.strategies.instruments import bar_type, close_time, event_time, exact, instrument_id
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.bracket_orders import BracketOrders
from trading_assets.strategies.orders.journal_rows import signal_row, status_of
from trading_assets.strategies.orders.plans import ExitReason, TradePlan
from trading_assets.strategies.risk.admission import EntryAdmission
from trading_assets.strategies.risk.cash import SpotCash
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, Journal, Signal, SignalSource, Stream

_LOG: Final = logging.getLogger(__name__)

_MINUTE: Final = timedelta(minutes=1)
_MOST_WAITS: Final = 4
"""A pass waits so often for further bars at most, while each wait brings some."""


class StrategyHost(Strategy):
    """Trades a strategy's signals, long and short: in at the market, out by stop, target or the end of the horizon.

    It owns everything that is the same for all strategies: when one is asked, limits, orders, journal, recovery.

    On each closed decision bar the ``signals`` source is asked once; the decision is journalled (enter, hold or refuse,
    with the reason). An entry is sent when the journal has it, and refused where the journal cannot be written; what
    reduces risk is sent first. After the entry's fill a reduce-only stop-market and a reduce-only limit rest at the
    venue; when one has closed the position, the strategy cancels the other. Expiry and risk limits go by the bars'
    time, so that a replay at any speed behaves like the market.

    Parameters
    ----------
    settings
        Markets, size, timeframes.
    signals
        ``on_bar(ClosedBar) -> Signal | None``; the rule of entry, barriers and horizon come with each.
    journal
        ``record_all(events)``, durable on return, and ``keep_all(events)``, which takes what was done; kinds
        ``signals``, ``orders``, ``fills``, ``positions``, ``plans``.
    gate
        The risk limits, asked before each entry. A restarted node restores the day with ``gate.realise(ts, pnl)``.
    instruments
        Market -> what it is traded as; without it, as a backtest names it.
    plans
        The newest journalled plan of each market (``TradePlan.from_json(row["plan"])``): the strategy goes on with
        the position, stop, target and expiry that it names. Closed plans are ignored.
    entry_veto
        Asked with the signal before each entry; a text refuses it (kill switch, a bar that came late).
    leader_of
        The other market whose bar of the same close and timeframe a stream's decision reads, or None. Such a decision
        waits for that bar, until a bar of any market that ends later shows that it does not come.
    feed
        Asked about each bar: nothing is done on one that it does not admit. A backtest needs none, its candles are
        checked before.

    Notes
    -----
    For the node, on the engine's thread (a timer's callback): ``halt(reason)`` stops entries for good,
    ``flatten(reason)`` also closes what is open. To look at: ``is_flat()``, ``halted`` (the reason, or None),
    ``errors`` (what the circuit breaker caught), ``heard`` (the end of the newest bar dealt with, believed or not),
    ``open_trades`` (market -> plan). ``on_decision``, if set, is called with each signal and its action once the
    journal has them and the entry is sent (for latency figures).
    """

    def __new__(cls, settings: HostConfig, *_: Any, **__: Any) -> StrategyHost:
        """The engine's base class takes its own config at this point."""
        return super().__new__(cls, StrategyConfig(strategy_id=StrategyId(settings.strategy_id), log_events=False))  # type: ignore[call-arg]

    def __init__(
        self,
        settings: HostConfig,
        signals: SignalSource,
        journal: Journal,
        gate: RiskGate,
        *,
        instruments: Mapping[str, InstrumentId] | None = None,
        plans: Iterable[TradePlan] = (),
        entry_veto: Callable[[Signal], str | None] | None = None,
        leader_of: Callable[[Stream], str | None] | None = None,
        feed: FeedQuarantine | None = None,
    ) -> None:
        super().__init__()
        self.halted: str | None = None
        self.heard: datetime | None = None
        self.errors: list[Exception] = []
        self.on_decision: Callable[[Signal, str], None] | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._settings = settings
        self._signals = signals
        self._journal = journal
        self._feed = feed
        self._doubts = DoubtfulFills(feed.tell) if feed is not None else None
        simulated = {market: InstrumentId.from_str(instrument_id(market)) for market in settings.markets}
        self._instruments = dict(instruments or simulated)
        self._markets = {instrument: market for market, instrument in self._instruments.items()}
        self._decision_bars = {self._bars_of(stream): stream for stream in settings.streams}
        self._lengths = Counter(timeframe_delta(stream.timeframe) for stream in settings.streams)
        finer = settings.execution_timeframe
        executed = [Stream(market, finer) for market in settings.markets] if finer else []
        self._execution_bars = {self._bars_of(stream): stream for stream in executed if stream not in settings.streams}
        self._heard_bars = {
            bars: (stream, timeframe_delta(stream.timeframe), bars in self._decision_bars)
            for bars, stream in (self._decision_bars | self._execution_bars).items()
        }
        self._queue = DecisionQueue(leader_of, finer=finer if settings.await_execution_bar else None)
        self._gathered: list[int] = []
        self._trades = BracketOrders(self, self._instruments, journal, gate, plans)
        self._admission = EntryAdmission(
            self,
            self._instruments,
            gate,
            SpotCash(self._trades, settings.taker_fee_bps),
            entry_veto,
            position_share=settings.position_share,
            kelly_fraction=settings.kelly_fraction,
            max_volume_share=settings.max_volume_share,
        )

    # -- for the node ---------------------------------------------------------------------------------------------

    @property
    def open_trades(self) -> Mapping[str, TradePlan]:
        """Market -> the plan in force."""
        return self._trades.open

    @property
    def now(self) -> datetime | None:
        """The newest bar's end; None before the first one."""
        return self._trades.now

    def listen(self) -> None:
        """Subscribe to the bars of all markets."""
        for market in self._settings.markets:
            for _, wanted in self.streams(market):
                self.subscribe_bars(wanted)

    def streams(self, market: str) -> list[tuple[str, BarType]]:
        """Timeframe and bars that a market is followed by, the finer ones first."""
        every = (self._decision_bars | self._execution_bars).items()
        found = [(stream.timeframe, wanted) for wanted, stream in every if stream.market == market]
        return sorted(found, key=lambda one: timeframe_minutes(one[0]))

    def is_flat(self) -> bool:
        """Whether no trade is on its way and no position is open."""
        return not self._trades.open and all(self._trades.position(market) is None for market in self._instruments)

    def halt(self, reason: str, *, level: int = logging.WARNING) -> None:
        """Refuse every further entry; open positions keep their stop, target and expiry."""
        if self.halted is None:
            self.halted = reason
            _LOG.log(level, "%s halted: %s", self._settings.strategy_id, reason)

    @guarded
    def flatten(self, reason: ExitReason = "kill") -> None:
        """Halt, and close every open position at the market; an entry still on its way is closed when it fills."""
        self.halt(f"flatten: {reason}", level=logging.DEBUG if reason == "end" else logging.WARNING)
        self._trades.exit_all(reason)

    # -- the engine's handlers ------------------------------------------------------------------------------------

    @guarded
    def on_start(self) -> None:
        """Find what is open, then listen."""
        self._trades.resume()
        if self._settings.listen_on_start:
            self.listen()

    @guarded
    def on_bar(self, bar: Bar) -> None:
        """Mind the open trade; on a decision bar, decide."""
        stream, length, is_decision = self._heard_bars[bar.bar_type]
        closed = _closed(bar, stream, length)
        admitted = self._feed is None or self._feed.admits(closed)
        if self._doubts is not None:
            self._doubts.bar(closed.market, bar.ts_init, None if admitted else closed)
        if admitted:
            self._on_closed(closed, is_decision=is_decision)
        self.heard = closed.known_at

    def _on_closed(self, closed: ClosedBar, *, is_decision: bool) -> None:
        now = closed.known_at
        self._trades.now = max(now, self._trades.now or now)  # a bar that comes late does not turn the clock back
        if is_decision:
            self._queue.add(closed)
            if closed.timeframe == self._settings.execution_timeframe:
                self._queue.finer_ended(closed.market, now)
        else:
            self._on_execution_bar(closed.market, now, closed.close)
        self._go_on()

    @guarded
    def on_order_event(self, event: Any) -> None:
        """Journal it and follow it up."""
        self._trades.on_order_event(event)
        market = self._markets.get(event.instrument_id)
        if self._doubts is not None and market is not None and status_of(event) == "filled":
            self._doubts.fill(market, Fill.of(event))

    @guarded
    def on_position_event(self, event: Any) -> None:
        """Journal it and follow it up."""
        self._trades.on_position_event(event)

    def _on_execution_bar(self, market: str, now: datetime, price: float) -> None:
        self._queue.finer_ended(market, now)
        self._trades.manage(market, price, deciding=False)

    # -- deciding -------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Decide on the bars that need not wait any longer, or a moment later together with those that come by then."""
        if self._settings.gather is None or not self._gathers(self._settings.gather):
            self._decide_all()

    def _gathers(self, wait: timedelta) -> bool:
        """Whether to wait for other markets' bars of the same close: many cost little more than one."""
        ready = self._queue.ready(self._now())
        if not 0 < ready < self._closing_together():
            return False
        if not self._gathered:
            self._gather(ready, wait)
        return True

    def _closing_together(self) -> int:
        """How many of the bars that are decided on end at this moment."""
        minute = round((self._now() - EPOCH) / _MINUTE) * _MINUTE
        return sum(count for length, count in self._lengths.items() if not minute % length)

    def _gather(self, ready: int, wait: timedelta) -> None:
        self._gathered.append(ready)
        self.clock.set_time_alert("pass", self.clock.utc_now() + wait, callback=self._on_gathered)

    @guarded
    def _on_gathered(self, _: Any) -> None:
        """Decide, unless more bars came while waiting: a pass of its own for the rest would cost more than it waits."""
        ready, wait = self._queue.ready(self._now()), self._settings.gather
        if wait is not None and len(self._gathered) < _MOST_WAITS and self._gathered and ready > self._gathered[-1]:
            self._gather(ready, wait)
        else:
            self._gathered.clear()
            self._decide_all()

    def _decide_all(self) -> None:
        while bars := self._queue.take(self._now()):
            self._on_decision_bars(bars)

    def _now(self) -> datetime:
        assert self._trades.now is not None  # a bar came before
        return self._trades.now

    def _on_decision_bars(self, bars: Sequence[ClosedBar]) -> None:
        """One pass: ask for all signals at once, journal all decisions as one, then send the entries."""
        close_at = self._settings.close_at
        for closed in bars:
            if closed.market in self._trades.open:
                self._trades.manage(closed.market, closed.close)
            if close_at is not None and closed.known_at >= close_at and not self._trades.closing:
                self.flatten("end")
        decided: list[tuple[Signal, str, str]] = []
        entries: list[tuple[TradePlan, Any]] = []
        self._admission.begin_pass()
        for signal, bar in zip(self._signals.on_bars(bars), bars, strict=True):
            if signal is None:
                continue
            held = signal.market in self._trades.open or any(plan.market == signal.market for plan, _ in entries)
            action, reason, quantity = self._admission.verdict(signal, bar, held=held, halted=self.halted)
            decided.append((signal, action, reason))
            if quantity is not None:
                entries.append(self._entry(signal, bar, quantity))
        if decided:
            decided = self._carry_out(decided, entries)
        if self.on_decision is not None:
            for signal, action, _ in decided:
                self.on_decision(signal, action)

    def _carry_out(
        self, decided: list[tuple[Signal, str, str]], entries: list[tuple[TradePlan, Any]]
    ) -> list[tuple[Signal, str, str]]:
        """Journal the decisions and send the entries; what the journal does not hold is not entered."""
        now = event_time(self.clock.timestamp_ns())
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

    def _entry(self, signal: Signal, bar: ClosedBar, quantity: Any) -> tuple[TradePlan, Any]:
        instrument = self._instruments[signal.market]
        order = trade_orders.market_entry(self.order_factory, instrument, signal.side, signal.signal_id, quantity)
        order_id, length = order.client_order_id.value, timeframe_delta(bar.timeframe)
        return TradePlan.of(signal, bar_length=length, quantity=quantity.as_double(), entry_order_id=order_id), order

    def _bars_of(self, stream: Stream) -> BarType:
        return BarType.from_str(bar_type(str(self._instruments[stream.market]), stream.timeframe))


def _closed(bar: Bar, stream: Stream, length: timedelta) -> ClosedBar:
    now = close_time(bar.ts_event)
    prices = (exact(bar.open), exact(bar.high), exact(bar.low), exact(bar.close))
    return ClosedBar(stream.market, stream.timeframe, now - length, now, *prices, exact(bar.volume))
