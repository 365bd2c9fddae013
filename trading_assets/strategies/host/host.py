"""What runs a strategy in the engine: the same class in the backtest and in the live node, for every strategy."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from nautilus_trader.model import Bar, BarType, InstrumentId, OrderInitialized, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from trading_assets.journal import NewestTrades, PriceOf
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host.circuit_breaker import but_for, guarded
from trading_assets.strategies.host.config import HostConfig
from trading_assets.strategies.host.doubtful_fills import DoubtfulFills, Fill
from trading_assets.strategies.host.followed_bars import FollowedBars
from trading_assets.strategies.host.gathering import Gathering
from trading_assets.strategies.host.passes import DecisionPasses
from trading_assets.strategies.host.queue import DecisionQueue
from trading_assets.strategies.host.watching import Watch
from trading_assets.strategies.instruments import instrument_id
from trading_assets.strategies.orders.bracket_orders import BracketOrders, OnRefused
from trading_assets.strategies.orders.journal_rows import status_of
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.funding_exit import NextFunding
from trading_assets.strategies.plans.plan import ExitReason, TradePlan
from trading_assets.strategies.protections import Protections
from trading_assets.strategies.risk.admission import EntryAdmission, Knowledge, WeightOf
from trading_assets.strategies.risk.cash import SpotCash
from trading_assets.strategies.risk.closes import Closes
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, Journal, Signal, SignalSource, Stream

_LOG: Final = logging.getLogger(__name__)


class StrategyHost(Strategy):
    """Trades a strategy's signals, long and short: in at the market, out as the exit plan of each signal says.

    It owns everything that is the same for all strategies: when one is asked, limits, orders, journal, recovery.

    On each closed decision bar the ``signals`` source is asked once; the decision is journalled (enter, hold or refuse,
    with the reason). An entry is sent when the journal has it, and refused where the journal cannot be written; what
    reduces risk is sent first. After the entry's fill a reduce-only stop-market for all that is left and a limit for
    each target rest at the venue; when the position is closed, the strategy cancels what still rests. Expiry and risk
    limits go by the bars' time, so that a replay at any speed behaves like the market.

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
    weight_of
        Asked with a model's name before each entry: the share of the account's equity, 0 to 1, that it trades with.
        None where each has the whole.
    closes
        What is known of the past of prices, for sizes and limits that ask for it.
    next_funding
        Asked about trades whose plan closes them before a costly payment; without it, none is.
    protections
        Told of each bar; where they halt trading of a market or model, what is open there is closed. They refuse
        entries by ``entry_veto``, and hear of everything else by the ``journal``.

    Notes
    -----
    For the node, on the engine's thread (a timer's callback): ``halt(reason)`` stops entries for good,
    ``flatten(reason)`` also closes what is open; from another thread, ``ending`` may be set: while it says why, nothing
    is entered. To look at: ``is_flat()``, ``halted`` (the reason, or None),
    ``errors`` (what the circuit breaker caught), ``heard`` (the end of the newest bar dealt with, believed or not),
    ``open_trades`` (market -> plan). ``on_decision``, if set, is called with each signal and its action once the
    journal has them and the entry is sent (for latency figures); ``watch``, if set, with each bar and order event.
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
        weight_of: WeightOf | None = None,
        closes: Closes | None = None,
        next_funding: NextFunding | None = None,
        protections: Protections | None = None,
    ) -> None:
        super().__init__()
        self.halted: str | None = None
        self.ending: str | None = None
        self.heard: datetime | None = None
        self.errors: list[Exception] = []
        self.on_decision: Callable[[Signal, str], None] | None = None
        self.watch: Watch | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._settings = settings
        self._feed = feed
        self._doubts = DoubtfulFills(feed.tell) if feed is not None else None
        simulated = {market: InstrumentId.from_str(instrument_id(market)) for market in settings.markets}
        self._instruments = dict(instruments or simulated)
        self._markets = {instrument: market for market, instrument in self._instruments.items()}
        self._bars = FollowedBars(settings, self._instruments)
        awaited = settings.execution_timeframe if settings.await_execution_bar else None
        self._queue = DecisionQueue(leader_of, finer=awaited)
        self._gathering = Gathering(self._queue, settings.streams, settings.gather, self._gather)
        self._alerts = 0
        self._ids = OrderIds(settings.account)
        self._trades = BracketOrders(
            self,
            self._instruments,
            journal,
            gate,
            plans,
            matching=settings.matching,
            later=self._later,
            ids=self._ids,
            next_funding=next_funding,
        )
        self._protections = protections
        if protections is not None:
            self._trades.halts = protections.closes
        self._trades.adopts = settings.adopts
        self._admission = EntryAdmission(
            self,
            self._instruments,
            gate,
            SpotCash(self._trades, settings.taker_fee_bps, coins=settings.matching.binds),
            entry_veto,
            sizing=settings.sizing,
            weight_of=weight_of,
            knowledge=None if closes is None else Knowledge.of(settings.streams, closes, gate.limits),
        )
        self._passes = DecisionPasses(
            self,
            self._instruments,
            signals,
            journal,
            self._trades,
            self._admission,
            self._ids,
            halted=lambda: self.halted or self.ending,
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

    @property
    def queue_lengths(self) -> dict[str, int]:
        """Bars that wait for their decision, and events for their handler."""
        return {"decisions": len(self._queue), "handlers": len(self._waiting)}

    @property
    def on_refused(self) -> OnRefused | None:
        """Told of each order that was refused."""
        return self._trades.on_refused

    @on_refused.setter
    def on_refused(self, told: OnRefused | None) -> None:
        self._trades.on_refused = told

    @property
    def vanished(self) -> dict[str, TradePlan]:
        """Market -> a trade that the engine has no position of, until the account has its say."""
        return {market: plan for market, plan in self._trades.open.items() if market in self._trades.vanished}

    @property
    def refused(self) -> dict[str, str]:
        """Id -> market of orders that were refused and may rest all the same, until the account has its say."""
        return self._trades.refused

    def keep_books(self, trades: NewestTrades, price_of: PriceOf | None = None) -> None:
        """Go on with the fills of trades that are open, and with prices of the coins that fees are taken in."""
        self._trades.trades, self._trades.price_of = trades, price_of

    def book(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Take in fills that the engine has not told of; the journal has them already."""
        for kind, row in rows:
            if kind == "fills" and row["market"] in self._instruments:
                self._trades.trades.add(row)

    @property
    def asks_account(self) -> bool:
        """Whether the account minds what the engine knows nothing of."""
        return self._trades.asks

    def ask_account(self) -> None:
        """Leave it to the account to say why a position is gone; whoever asks it calls :meth:`conclude`."""
        self._trades.asks = True

    @guarded
    def conclude(self, market: str, reason: ExitReason) -> None:
        """End a trade whose position is gone."""
        self._trades.conclude(market, reason)

    @guarded
    def found_filled(self, market: str, quantity: float, price: float) -> None:
        """Protect what an entry that was refused has bought, as the account says."""
        self._trades.found_filled(market, quantity, price)

    @guarded
    def answered(self, order_id: str) -> None:
        """Take the account's word that a refused order does not rest."""
        self._trades.answered(order_id)

    @guarded
    def close_unminded(self, market: str) -> None:
        """Close what the books call ours on a market where no trade is open."""
        self._trades.close_unminded(market)

    @guarded
    def query(self, order_id: str) -> None:
        """Have the engine ask the venue about an order that it has open."""
        self._trades.query(order_id)

    def listen(self) -> None:
        """Subscribe to the bars of all markets."""
        for market in self._settings.markets:
            for _, wanted in self.streams(market):
                self.subscribe_bars(wanted)

    def streams(self, market: str) -> list[tuple[str, BarType]]:
        """Timeframe and bars that a market is followed by, the finer ones first."""
        return self._bars.of(market)

    def equity(self) -> dict[str, float]:
        """Currency -> what the account is worth, with what is open at its newest prices."""
        return self._admission.equity()

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

    @guarded
    def close_halted(self) -> None:
        """Close the trades whose market or model the protections have halted; what they would lose is open still."""
        self._trades.exit_halted()

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
        closed, is_decision = self._bars.closed(bar)
        if self.watch is not None:
            self.watch.bar(closed, bar.ts_init)
        admitted = self._feed is None or self._feed.admits(closed)
        if self._doubts is not None:
            self._doubts.bar(closed.market, bar.ts_init, None if admitted else closed)
        if admitted:
            self._on_closed(closed, is_decision=is_decision)
        self.heard = closed.known_at

    def _on_closed(self, closed: ClosedBar, *, is_decision: bool) -> None:
        now = closed.known_at
        self._trades.now = max(now, self._trades.now or now)  # a bar that comes late does not turn the clock back
        self._admission.mark(closed)
        if self._protections is not None and self._protections.on_bar(closed):
            self._trades.exit_halted()
        if is_decision:
            self._queue.add(closed)
            if closed.timeframe == self._settings.execution_timeframe:
                self._queue.finer_ended(closed.market, now)
        else:
            self._on_execution_bar(closed.market, now, closed.close)
        self._go_on()

    @but_for(OrderInitialized)  # it is journalled before it is sent
    @guarded
    def on_order_event(self, event: Any) -> None:
        """Journal it and follow it up."""
        if self.watch is not None:
            self.watch.order_event(event)
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
        self._trades.manage(market, price)

    # -- deciding -------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Decide on the bars that need not wait any longer, or a moment later together with those that come by then."""
        if not self._gathering.waits(self._now()):
            self._decide_all()

    def _gather(self, wait: timedelta) -> None:
        self.clock.set_time_alert("pass", self.clock.utc_now() + wait, callback=self._on_gathered)

    @guarded
    def _on_gathered(self, _: Any) -> None:
        if not self._gathering.goes_on(self._now()):
            self._decide_all()

    def _decide_all(self) -> None:
        while bars := self._queue.take(self._now()):
            self._on_decision_bars(bars)

    def _now(self) -> datetime:
        assert self._trades.now is not None  # a bar came before
        return self._trades.now

    def _on_decision_bars(self, bars: Sequence[ClosedBar]) -> None:
        """One pass: look after what is open first, then decide."""
        close_at = self._settings.close_at
        for closed in bars:
            if closed.market in self._trades.open:
                self._trades.manage(closed.market, closed.close, bar=closed)
            if close_at is not None and closed.known_at >= close_at and not self._trades.closing:
                self.flatten("end")
        decided = self._passes.decide(bars)
        if self.on_decision is not None:
            for signal, action, _ in decided:
                self.on_decision(signal, action)

    def _later(self, at: datetime, what: Callable[[], None]) -> None:
        self._alerts += 1
        self.clock.set_time_alert(f"orders-{self._alerts}", at, callback=lambda _: self._run(what))

    @guarded
    def _run(self, what: Callable[[], None]) -> None:
        what()
