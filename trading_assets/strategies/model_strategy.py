"""The one strategy class, run by the backtest and by the live node alike."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from typing import Any, Final, cast

from nautilus_trader.model import Bar, BarType, InstrumentId, OrderSide, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from trading_assets.candles import timeframe_delta
from trading_assets.strategies.instruments import bar_type, close_time, event_time, exact, instrument_id
from trading_assets.strategies.keeper import TradeKeeper
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
    strategy_id: str = "MODEL-001"


def _guarded[F: Callable[..., None]](handler: F) -> F:
    """Run handlers one after the other, and break the circuit.

    The engine may deliver an event inside our own call to it (a cancel announces ``OrderPendingCancel`` while the
    strategy is still borrowed, when no engine attribute can be read): such an event waits until the running handler
    has ended. The engine logs a handler's exception and trades on; here it halts the strategy.
    """

    @wraps(handler)
    def guarded(self: ModelStrategy, *args: Any, **kwargs: Any) -> None:
        self._waiting.append(partial(handler, self, *args, **kwargs))
        if len(self._waiting) > 1:  # a handler is running
            return
        while self._waiting:
            try:
                self._waiting[0]()
            except Exception as error:  # whatever it is, it must not trade on
                self.errors.append(error)
                self.halt(f"{handler.__name__} failed: {type(error).__name__}: {error}")
                _LOG.exception("circuit breaker")
            finally:
                self._waiting.popleft()

    return cast("F", guarded)


class ModelStrategy(Strategy):
    """Trades a model's signals long: in at the market, out by stop, target or the end of the horizon.

    On each closed decision bar the ``signals`` source is asked once; the decision is journalled (enter, hold or refuse,
    with the reason) before anything is sent. After the entry's fill a reduce-only stop-market and a reduce-only limit
    rest at the venue; when one has closed the position, the strategy cancels the other. Expiry and risk limits go by
    the bars' time, so that a replay at any speed behaves like the market.

    Parameters
    ----------
    settings
        Markets, size, timeframes.
    signals
        ``on_bar(ClosedBar) -> Signal | None``; threshold, barriers and horizon come with each signal.
    journal
        ``record(kind, event)``, durable on return; kinds ``signals``, ``orders``, ``fills``, ``positions``, ``plans``.
    gate
        The risk limits, asked before each entry. A restarted node restores the day with ``gate.realise(ts, pnl)``.
    plans
        The newest journalled plan of each market (``TradePlan.from_json(row["plan"])``): the strategy goes on with
        the position, stop, target and expiry that it names. Closed plans are ignored.
    blocked
        Asked with the signal before each entry; a text refuses it (kill switch, a bar that came late).

    Notes
    -----
    For the node, on the engine's thread (a timer's callback): ``halt(reason)`` stops entries for good,
    ``flatten(reason)`` also closes what is open. To look at: ``is_flat()``, ``halted`` (the reason, or None),
    ``errors`` (what the circuit breaker caught), ``open_trades`` (market -> plan). ``on_decision``, if set, is called
    with each signal and its action once the journal has them and the entry is sent (for latency figures).
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
    ) -> None:
        super().__init__()
        self.halted: str | None = None
        self.errors: list[Exception] = []
        self.on_decision: Callable[[Signal, str], None] | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._settings = settings
        self._signals = signals
        self._journal = journal
        self._gate = gate
        self._blocked = blocked
        self._instruments = {m: InstrumentId.from_str(instrument_id(m, settings.venue)) for m in settings.markets}
        self._bar_length = timeframe_delta(settings.decision_timeframe)
        self._decision_bars = self._bars(settings.decision_timeframe)
        finer = settings.execution_timeframe
        self._execution_bars = self._bars(finer) if finer and finer != settings.decision_timeframe else {}
        self._executed: dict[str, datetime] = {}
        self._early: dict[str, list[ClosedBar]] = {}
        self._trades = TradeKeeper(self, self._instruments, journal, gate, plans)

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
        """Subscribe to the bars."""
        for wanted in (*self._execution_bars, *self._decision_bars):
            self.subscribe_bars(wanted)

    def is_flat(self) -> bool:
        """Whether no trade is on its way and no position is open."""
        return not self._trades.open and all(self._trades.position(market) is None for market in self._instruments)

    def halt(self, reason: str, *, level: int = logging.WARNING) -> None:
        """Refuse every further entry; open positions keep their stop, target and expiry."""
        if self.halted is None:
            self.halted = reason
            _LOG.log(level, "%s halted: %s", self._settings.strategy_id, reason)

    @_guarded
    def flatten(self, reason: ExitReason = "kill") -> None:
        """Halt, and close every open position at the market; an entry still on its way is closed when it fills."""
        self.halt(f"flatten: {reason}", level=logging.DEBUG if reason == "end" else logging.WARNING)
        self._trades.closing = reason
        for plan in list(self._trades.open.values()):
            self._trades.exit(plan, reason)

    # -- the engine's handlers ------------------------------------------------------------------------------------

    @_guarded
    def on_start(self) -> None:
        """Find what is open, then listen."""
        self._trades.resume()
        if self._settings.listen_on_start:
            self.listen()

    @_guarded
    def on_bar(self, bar: Bar) -> None:
        """Mind the open trade; on a decision bar, decide."""
        now = close_time(bar.ts_event)
        self._trades.now = max(now, self._trades.now or now)  # a bar that comes late does not turn the clock back
        market = self._decision_bars.get(bar.bar_type)
        if market is None:
            self._on_execution_bar(self._execution_bars[bar.bar_type], now, bar.close.as_double())
            return
        prices = (exact(bar.open), exact(bar.high), exact(bar.low), exact(bar.close))
        timeframe = self._settings.decision_timeframe
        closed = ClosedBar(market, timeframe, now - self._bar_length, now, *prices, exact(bar.volume))
        executed = self._executed.get(market)
        if self._settings.await_execution_bar and self._execution_bars and (executed is None or executed < now):
            self._early.setdefault(market, []).append(closed)
        else:
            self._on_decision_bar(closed)

    @_guarded
    def on_order_event(self, event: Any) -> None:
        """Journal it and follow it up."""
        self._trades.on_order_event(event)

    @_guarded
    def on_position_event(self, event: Any) -> None:
        """Journal it and follow it up."""
        self._trades.on_position_event(event)

    def _on_execution_bar(self, market: str, now: datetime, price: float) -> None:
        self._executed[market] = now
        self._trades.mind(market, price, deciding=False)
        while (early := self._early.get(market)) and early[0].known_at <= now:
            self._on_decision_bar(early.pop(0))

    # -- deciding -------------------------------------------------------------------------------------------------

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
        self._journal.record(
            "signals",
            {
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
            },
        )
        if quantity is not None:
            self._enter(signal, quantity)
        if self.on_decision is not None:
            self.on_decision(signal, action)

    def _verdict(self, signal: Signal, bar: ClosedBar) -> tuple[str, str, Any]:
        """Action, reason, and the quantity to buy where the action is ``enter``."""
        odds = f"probability {signal.probability:.4f}, threshold {signal.threshold:.4f}"
        if not signal.probability >= signal.threshold:
            return "hold", f"below the threshold: {odds}", None
        if signal.market in self._trades.open:
            return "hold", "a trade is open", None
        if self.halted is not None:
            return "refuse", f"halted: {self.halted}", None
        if self._blocked is not None and (why := self._blocked(signal)) is not None:
            return "refuse", why, None
        instrument = self.cache.instrument(self._instruments[signal.market])
        if instrument is None:
            return "refuse", f"{self._instruments[signal.market]} is not known to the venue", None
        share = self._settings.position_share * self._equity(instrument)
        notional = min(share, self._gate.limits.max_position_notional)
        quantity = instrument.make_qty(max(notional, 0.0) / bar.close, round_down=True)
        smallest = instrument.min_quantity or instrument.size_increment
        if quantity.as_double() < smallest.as_double():
            return "refuse", f"quantity {quantity} for {notional:,.2f} below the venue's minimum {smallest}", None
        worth = quantity.as_double() * bar.close
        if (refusal := self._gate.refusal(bar.known_at, worth, orders=_ROUND_TRIP_ORDERS)) is not None:
            return "refuse", refusal, None
        return "enter", odds, quantity

    def _enter(self, signal: Signal, quantity: Any) -> None:
        tags = [f"signal:{signal.signal_id}", "purpose:entry"]
        order = self.order_factory.market(self._instruments[signal.market], OrderSide.BUY, quantity, tags=tags)
        order_id, length = order.client_order_id.value, self._bar_length
        plan = TradePlan.of(signal, bar_length=length, quantity=quantity.as_double(), entry_order_id=order_id)
        self._trades.enter(plan, order)

    def _equity(self, instrument: Any) -> float:
        """Balance and open positions at their last price; the account object would come with its whole history."""
        equity = self.portfolio.equity(instrument.id.venue).get(instrument.quote_currency)
        return float(equity.as_double()) if equity is not None else 0.0

    def _bars(self, timeframe: str) -> dict[BarType, str]:
        return {BarType.from_str(bar_type(str(iid), timeframe)): market for market, iid in self._instruments.items()}
