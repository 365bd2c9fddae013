"""The one strategy class, run by the backtest and by the live node alike."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from nautilus_trader.model import Bar, BarType, InstrumentId, OrderSide, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from trading_assets.candles import timeframe_delta
from trading_assets.errors import NodeError
from trading_assets.precision import money
from trading_assets.strategies.cash import SpotCash, settled_balance
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.guard import guarded
from trading_assets.strategies.instruments import bar_type, close_time, event_time, exact, instrument_id
from trading_assets.strategies.keeper import TradeKeeper
from trading_assets.strategies.limits import OrderLimits, cut_to_volume
from trading_assets.strategies.plans import ExitReason, TradePlan
from trading_assets.strategies.risk import RiskGate
from trading_assets.strategies.signals import ClosedBar, Journal, Signal, SignalSource

_LOG: Final = logging.getLogger(__name__)
_ROUND_TRIP_ORDERS: Final = 3
"""Entry, stop, target."""


@dataclass(frozen=True, slots=True)
class ModelStrategyConfig:
    """What the strategy trades and how large.

    Attributes
    ----------
    markets
        Our market names; each is traded as the instrument of ``instrument_id(market, venue)``.
    position_share
        Notional of one position as a share of the account's equity, bounded by the gate's maximum notional.
    max_volume_share
        An entry is at most this share of what its decision bar traded; None for no such cap.
    taker_fee_bps
        What the entry of a spot market costs beside its price: both must be there in cash.
    execution_timeframe
        Finer bars to subscribe to. The node needs them: its sandbox matches on them, and expiry is checked on them. A
        backtest does not: its simulated exchange is fed directly.
    await_execution_bar
        Whether a decision waits for the finer bar that ends with it: a venue promises no order between the two, and the
        sandbox would fill the entry at the finer bar's price before, which is older than what was decided on.
    listen_on_start
        Whether to subscribe to the bars at once; a node calls ``listen()`` when its history is there.
    close_at
        From the first bar that ends then on, nothing is open any more: where a backtest ends. A stopped node leaves
        its positions to their stops.
    """

    markets: tuple[str, ...]
    position_share: float
    venue: str = "binance"
    decision_timeframe: str = "15m"
    execution_timeframe: str | None = None
    await_execution_bar: bool = False
    listen_on_start: bool = True
    close_at: datetime | None = None
    max_volume_share: float | None = None
    taker_fee_bps: float = 0.0
    strategy_id: str = "MODEL-001"


class ModelStrategy(Strategy):
    """Trades a model's signals long: in at the market, out by stop, target or the end of the horizon.

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
    plans
        The newest journalled plan of each market (``TradePlan.from_json(row["plan"])``): the strategy goes on with
        the position, stop, target and expiry that it names. Closed plans are ignored.
    blocked
        Asked with the signal before each entry; a text refuses it (kill switch, a bar that came late).
    beside
        Market -> the other market whose bar of the same close its decision reads, or None. Such a decision waits for
        that bar, until a bar of any market that ends later shows that it does not come.
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

    def __new__(cls, settings: ModelStrategyConfig, *_: Any, **__: Any) -> ModelStrategy:
        """The engine's base class takes its own config at this point."""
        return super().__new__(cls, StrategyConfig(strategy_id=StrategyId(settings.strategy_id), log_events=False))  # type: ignore[call-arg]

    def __init__(
        self,
        settings: ModelStrategyConfig,
        signals: SignalSource,
        journal: Journal,
        gate: RiskGate,
        *,
        plans: Iterable[TradePlan] = (),
        blocked: Callable[[Signal], str | None] | None = None,
        beside: Callable[[str], str | None] | None = None,
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
        self._gate = gate
        self._blocked = blocked
        self._beside = beside or (lambda _: None)
        self._feed = feed
        self._instruments = {m: InstrumentId.from_str(instrument_id(m, settings.venue)) for m in settings.markets}
        self._bar_length = timeframe_delta(settings.decision_timeframe)
        self._decision_bars = self._bars(settings.decision_timeframe)
        finer = settings.execution_timeframe
        self._execution_bars = self._bars(finer) if finer and finer != settings.decision_timeframe else {}
        self._executed: dict[str, datetime] = {}
        self._decided: dict[str, datetime] = {}
        self._early: list[ClosedBar] = []
        self._trades = TradeKeeper(self, self._instruments, journal, gate, plans)
        self._cash = SpotCash(self._trades, settings.taker_fee_bps)

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
        kinds = [(self._settings.execution_timeframe or "", self._execution_bars)]
        kinds.append((self._settings.decision_timeframe, self._decision_bars))
        return [(timeframe, wanted) for timeframe, bars in kinds for wanted, name in bars.items() if name == market]

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
        closed = self._closed(bar)
        if self._feed is None or self._feed.admits(closed):
            self._on_closed(closed, is_decision=bar.bar_type in self._decision_bars)
        self.heard = closed.known_at

    def _on_closed(self, closed: ClosedBar, *, is_decision: bool) -> None:
        now = closed.known_at
        self._trades.now = max(now, self._trades.now or now)  # a bar that comes late does not turn the clock back
        if is_decision:
            self._early.append(closed)
        else:
            self._on_execution_bar(closed.market, now, closed.close)
        self._go_on()

    @guarded
    def on_order_event(self, event: Any) -> None:
        """Journal it and follow it up."""
        self._trades.on_order_event(event)

    @guarded
    def on_position_event(self, event: Any) -> None:
        """Journal it and follow it up."""
        self._trades.on_position_event(event)

    def _closed(self, bar: Bar) -> ClosedBar:
        market = self._decision_bars.get(bar.bar_type)
        timeframe = self._settings.decision_timeframe
        if market is None:
            market, timeframe = self._execution_bars[bar.bar_type], self._settings.execution_timeframe or timeframe
        now = close_time(bar.ts_event)
        prices = (exact(bar.open), exact(bar.high), exact(bar.low), exact(bar.close))
        return ClosedBar(market, timeframe, now - timeframe_delta(timeframe), now, *prices, exact(bar.volume))

    def _on_execution_bar(self, market: str, now: datetime, price: float) -> None:
        self._executed[market] = now
        self._trades.mind(market, price, deciding=False)

    # -- deciding -------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Decide on the bars that need not wait any longer, the leaders before those that read them."""
        while (ready := next((one for one in self._early if not self._must_wait(one)), None)) is not None:
            self._early.remove(ready)
            self._decided[ready.market] = ready.known_at
            self._on_decision_bar(ready)

    def _must_wait(self, closed: ClosedBar) -> bool:
        """Whether a bar that the decision needs is still to come: the finer one that ends with it, another market's."""
        first = datetime.min.replace(tzinfo=closed.known_at.tzinfo)
        finer = self._settings.await_execution_bar and self._execution_bars
        if finer and self._executed.get(closed.market, first) < closed.known_at:
            return True
        beside = self._beside(closed.market)
        if beside is None or self._decided.get(beside, first) >= closed.known_at:
            return False
        return self._trades.now is None or self._trades.now <= closed.known_at

    def _on_decision_bar(self, closed: ClosedBar) -> None:
        self._trades.mind(closed.market, closed.close)
        close_at = self._settings.close_at
        if close_at is not None and closed.known_at >= close_at and not self._trades.closing:
            self.flatten("end")
        signal = self._signals.on_bar(closed)
        if signal is not None:
            self._decide(signal, closed)

    def _decide(self, signal: Signal, bar: ClosedBar) -> None:
        action, reason, quantity = self._verdict(signal, bar)
        if quantity is not None:
            try:
                self._cash.order(signal.market, quantity.as_double() * bar.close)
                self._enter(signal, quantity, self._decision(signal, action, reason))
            except NodeError as error:  # of the journal: what it does not hold is not entered
                action, reason, quantity = "refuse", str(error), None
        if quantity is None:
            self._journal.keep_all([self._decision(signal, action, reason)])
        if self.on_decision is not None:
            self.on_decision(signal, action)

    def _decision(self, signal: Signal, action: str, reason: str) -> tuple[str, dict[str, Any]]:
        return "signals", {
            "ts": event_time(self.clock.timestamp_ns()),
            "market": signal.market,
            "signal_id": signal.signal_id,
            "bar_ts": signal.ts,
            "probability": signal.probability,
            "threshold": signal.threshold,
            "action": action,
            "reason": reason,
            "model": signal.model,
            "model_version": signal.model_version,
            "bundle_hash": signal.bundle_hash,
        }

    def _verdict(self, signal: Signal, bar: ClosedBar) -> tuple[str, str, Any]:
        """Action, reason, and the quantity to buy where the action is ``enter``."""
        if not signal.enters:
            return "hold", signal.reason, None
        if signal.market in self._trades.open:
            return "hold", "a trade is open", None
        if self.halted is not None:
            return "refuse", f"halted: {self.halted}", None
        if self._blocked is not None and (why := self._blocked(signal)) is not None:
            return "refuse", why, None
        instrument = self.cache.instrument(self._instruments[signal.market])
        if instrument is None:
            return "refuse", f"{self._instruments[signal.market]} is not known to the venue", None
        limits = OrderLimits.of(instrument)
        share = self._settings.position_share * self._equity(instrument)
        notional = min(share, self._gate.limits.max_position_notional)
        quantity, cut = cut_to_volume(
            limits.whole_steps(notional / bar.close), bar.volume, self._settings.max_volume_share, limits
        )
        stop, target = bar.close * (1 - signal.stop_loss_pct / 100), bar.close * (1 + signal.take_profit_pct / 100)
        if (denial := limits.refusal(quantity, bar.close, stop=stop, target=target)) is not None:
            return "refuse", f"{cut}: {denial}" if cut else f"{denial}, for {money(notional)}", None
        worth, balance = quantity * bar.close, partial(settled_balance, self.portfolio, instrument)
        if (refusal := self._cash.refusal(signal.market, worth, balance)) is not None:
            return "refuse", refusal, None
        if (refusal := self._gate.refusal(bar.known_at, worth, orders=_ROUND_TRIP_ORDERS)) is not None:
            return "refuse", refusal, None
        return "enter", f"{signal.reason}; {cut}" if cut else signal.reason, instrument.make_qty(quantity)

    def _enter(self, signal: Signal, quantity: Any, decision: tuple[str, dict[str, Any]]) -> None:
        tags = [f"signal:{signal.signal_id}", "purpose:entry"]
        order = self.order_factory.market(self._instruments[signal.market], OrderSide.BUY, quantity, tags=tags)
        order_id, length = order.client_order_id.value, self._bar_length
        plan = TradePlan.of(signal, bar_length=length, quantity=quantity.as_double(), entry_order_id=order_id)
        self._trades.enter(plan, order, decision)

    def _equity(self, instrument: Any) -> float:
        """Balance and open positions at their last price; the account object would come with its whole history."""
        equity = self.portfolio.equity(instrument.id.venue).get(instrument.quote_currency)
        return float(equity.as_double()) if equity is not None else 0.0

    def _bars(self, timeframe: str) -> dict[BarType, str]:
        return {BarType.from_str(bar_type(str(iid), timeframe)): market for market, iid in self._instruments.items()}
