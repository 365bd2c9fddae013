"""The live node: the deployed models on a venue's market data, trading on paper in the sandbox."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from nautilus_trader.live import LiveNode
from nautilus_trader.model import InstrumentId

from trading_assets.core.candles import DECISION_BAR, DECISION_TIMEFRAME, Market
from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, NODE, BufferedJournal
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host import StrategyHost
from trading_assets.strategies.host_config import HostConfig
from trading_assets.strategies.instruments import instrument_id
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import Signal
from trading_live.execution.recovery import STARTED, Recovered, recover
from trading_live.node.deployed_models import DeployedModels
from trading_live.node.engine import VenueUnreachable, build_engine, execution_timeframe, explain
from trading_live.node.instruments import RELOADING
from trading_live.node.late_journal import open_journal
from trading_live.node.signals import LiveSignals
from trading_live.node.strategy_journal import StrategyJournal
from trading_live.node.supervisor import Hooks, Supervisor
from trading_live.operations import kill_switch
from trading_live.operations.heartbeat import Heartbeat, NodeLock, RunningModel, State, missing_journal, read_heartbeat
from trading_live.operations.interrupts import stops_engine
from trading_live.operations.restarts import node_name
from trading_live.venues.clock import ProgressReports, ReplayClock, VenueView, WallClock, look_at_replay

_LOG: Final = structlog.get_logger(__name__)
_LONGEST_PAUSE_S: Final = 60

_GATHER: Final = timedelta(milliseconds=10)
"""So long a decision waits for other markets' bars of the same close; what comes during a pass makes the next one."""

OnDecision = Callable[[Signal, str], None]


def run_node(settings: Settings, *, on_decision: OnDecision | None = None, close_only: bool = False) -> None:
    """Run the node until it is interrupted (SIGINT, SIGTERM), killed by the kill switch, or fails.

    Without a model that can be used, a node that has something open manages it (stop, target, expiry) and enters
    nothing, until a model comes into use.

    Parameters
    ----------
    settings
        Everything; ``settings.node`` chooses venue, environment and limits, ``settings.live_dir`` is the node's folder.
    on_decision
        Called with each signal and its action when the journal has it.
    close_only
        Close what is open, then end; no model is loaded, and the kill switch may be on.

    Raises
    ------
    NodeError
        If the kill switch is on, another node runs on the folder, no model can be used and nothing is open, or the
        venue cannot be reached.
    """
    if not close_only:
        kill_switch.require_off(settings.live_dir)
    presence = NodeLock(settings.live_dir)
    presence.acquire()
    try:
        require_known_positions(settings.live_dir)
        journal = open_journal(settings.live_dir / JOURNAL_FILE, node_name(settings.node))
        try:
            _Run(settings, presence, journal, on_decision, close_only=close_only).run()
        finally:
            journal.close()
    finally:
        presence.release()


def require_known_positions(live_dir: Path) -> None:
    """Refuse to begin a new journal where the last heartbeat speaks of open trades that only a lost one knows.

    Raises
    ------
    NodeError
        If it does.
    """
    if (missing := missing_journal(live_dir)) is not None:
        raise missing


def too_late(known_at: datetime, now: datetime, settings: NodeSettings) -> str | None:
    """Why a bar is too old to enter on: it was held up on the way, or this machine slept."""
    delay = (now - known_at).total_seconds()
    if delay <= settings.max_decision_delay_s:
        return None
    return f"the bar came {delay:,.0f} s late by this clock, limit {settings.max_decision_delay_s:g} s"


class _Run:
    """One run of the node: puts the parts together and takes them apart."""

    def __init__(
        self,
        settings: Settings,
        presence: NodeLock,
        journal: BufferedJournal,
        on_decision: OnDecision | None,
        *,
        close_only: bool,
    ) -> None:
        self.settings = settings
        self.close_only = close_only
        self.presence = presence
        self.journal = journal
        self.on_decision = on_decision
        self.started_at = datetime.now(UTC)
        former = read_heartbeat(settings.live_dir)
        self.open_markets = former.open_markets if former is not None else ()
        self.failure: NodeError | None = None
        self.detail = ""
        self.state: State = "starting"
        self.node: LiveNode | None = None
        self.strategy: StrategyHost | None = None
        self.signals: LiveSignals | None = None
        self.shelf = DeployedModels(settings, self.tell)
        self.replayed = settings.node.environment == "replay"
        self.feed = self._new_feed()

    def run(self) -> None:
        """From the journal to the journal."""
        self.beat("starting")
        try:
            attempts = self.settings.node.connect_attempts
            for attempt in range(1, attempts + 1):
                self._attempt()
                if attempt == attempts or not isinstance(self.failure, VenueUnreachable):
                    break
                self._pause(f"attempt {attempt} of {attempts} failed: {self.failure.what}", _pause_s(attempt))
        finally:
            self.tell("stopped", str(self.failure or ""))
            self.beat("stopped")
        if self.failure is not None:
            raise self.failure

    def _attempt(self) -> None:
        """Start the engine, and run it until it ends."""
        self.failure = None
        view = look_at_replay(self.settings) if self.replayed else None
        recovered = self._recover(view)
        if self.close_only and not recovered.open_markets:
            self.tell("nothing is open", "")
            return
        self._load_models(recovered)
        markets = self._markets(recovered, view)
        self.shelf.listen_to(markets)
        self.tell(STARTED, self._place())
        self.node = self._build(markets, recovered, view)
        self.beat("connecting")
        self._run_engine(self.node)
        self.node = self.strategy = self.signals = None  # there is one engine at a time

    def _pause(self, why: str, seconds: int) -> None:
        """Wait before the next attempt, and say so; the kill switch ends the waiting."""
        self.tell("connect failed", f"{why}; the next one in {seconds} s")
        _LOG.warning("connect failed", why=why, next_attempt_s=seconds)
        for left in range(seconds, 0, -1):
            self.detail = f"{why}; the next one in {left} s"
            self.beat("connecting")
            time.sleep(1)
            if not self.close_only:
                kill_switch.require_off(self.settings.live_dir)
        self.detail = ""

    # -- hooks ----------------------------------------------------------------------------------------------------

    def tell(self, event: str, detail: str) -> None:
        """Into the journal."""
        self.journal.keep_all([(NODE, {"ts": datetime.now(UTC), "event": event, "detail": detail})])

    def beat(self, state: State) -> None:
        """Write the heartbeat."""
        histories = self.signals.histories if self.signals else {}
        if state == "trading" and self._all_silent():
            state = "silent"
        settings, now = self.settings.node, datetime.now(UTC)
        untrusted = self.feed.reasons()
        self.state = state
        self.journal.flush()
        self.presence.beat(
            Heartbeat(
                pid=os.getpid(),
                state="managing" if state == "trading" and not self.shelf.models else state,
                node=self.journal.node,
                venue=settings.venue,
                environment=settings.environment,
                mode=settings.mode,
                started_at=self.started_at,
                beat_at=now,
                market_time=self.strategy.now if self.strategy else None,
                models=tuple(
                    RunningModel(
                        model=one.deployed.model,
                        version=one.deployed.version,
                        bundle_hash=one.deployed.bundle_hash,
                        markets=one.deployed.markets,
                    )
                    for one in self.shelf.models
                ),
                last_bars={
                    market: history.last + DECISION_BAR
                    for market, history in histories.items()
                    if history.last is not None
                },
                waiting=(self.signals.state() if self.signals else {}) | untrusted,
                untrusted=untrusted,
                halted=self.strategy.halted if self.strategy else None,
                refused=self.shelf.refusals | (self.signals.refused if self.signals else {}),
                detail=self.detail,
                journal=self.journal.complaint,
                open_markets=tuple(sorted(self.strategy.open_trades)) if self.strategy else self.open_markets,
            )
        )

    def _all_silent(self) -> bool:
        """Whether no market that a model trades sends bars."""
        traded = {market for model in self.shelf.models for market in model.deployed.markets}
        return bool(traded) and all(self.feed.is_silent(market) for market in traded)

    def stop(self, failure: NodeError | None) -> None:
        """Stop the engine; the first failure counts."""
        self.failure = self.failure or failure
        if self.node is not None:
            self.node.handle().stop()

    # -- starting -------------------------------------------------------------------------------------------------

    def _place(self) -> str:
        return f"{self.settings.node.venue} {self.settings.node.environment}"

    def _recover(self, view: VenueView | None) -> Recovered:
        """What the journal says is held; a replay that begins anew, or another venue, begins a new session."""
        path = self.journal.path
        recovered = recover(path)
        went_back = view is not None and recovered.newest is not None and view.now < recovered.newest
        if went_back or recovered.last_start not in (None, self._place()):
            left = ", ".join(holding.market for holding in recovered.holdings)
            self.journal.new_session()
            self.tell("new session", f"{self._place()}; left behind: {left or 'nothing'}")
            recovered = recover(path)
        self.open_markets = recovered.open_markets
        if recovered.repairs:
            self.journal.keep_all(recovered.repairs)
            self.tell("journal completed", f"{len(recovered.repairs)} events that the former process could not write")
        for holding in recovered.holdings:
            self.tell("position recovered", f"{holding.market}: {holding.quantity:g} at {holding.average_price:g}")
            _LOG.info("position recovered", market=holding.market, quantity=holding.quantity)
        return recovered

    def _load_models(self, recovered: Recovered) -> None:
        """Take what is deployed; where no model can be used, what is open is managed without one."""
        if self.close_only:
            return
        self.shelf.refresh()
        if self.shelf.models:
            return
        if not recovered.open_markets:
            raise NodeError(
                self.shelf.without_models,
                where=str(self.settings.live_dir),
                remedy="approve and deploy one (trading demo does; trading models lists them)",
            )
        self.tell("manage only", f"{', '.join(recovered.open_markets)}: {self.shelf.without_models}")
        _LOG.warning("no entries, open positions are managed", reason=self.shelf.without_models)

    def _markets(self, recovered: Recovered, view: VenueView | None) -> list[str]:
        """What must be listened to, and what a later deployment of the settings' models may need."""
        needed = {market for model in self.shelf.models for market in model.deployed.markets}
        needed |= {leader for market in list(needed) if (leader := self.shelf.leader_of(market)) is not None}
        needed |= set(recovered.open_markets)
        missing = sorted(market for market in needed if view is not None and not view.has(market))
        if missing:
            raise NodeError(
                f"the replay does not have {', '.join(missing)}", where="markets", remedy="replay them too: --market"
            )
        perpetual = {Market.parse(market).is_perpetual for market in needed}
        venue = self.settings.node.venue
        wanted = self.settings.markets_of(self.settings.models)
        if self.close_only:
            later = set()
        elif view is not None:
            later = {market for market in wanted if view.has(market)}
        else:
            parsed = {market: Market.parse(market) for market in wanted}
            later = {m for m, one in parsed.items() if one.exchange == venue and one.is_perpetual in perpetual}
        return sorted(needed | later)

    def _build(self, markets: Sequence[str], recovered: Recovered, view: VenueView | None) -> LiveNode:
        settings = self.settings
        venue = "replay" if self.replayed else settings.node.venue
        instruments = {market: InstrumentId.from_str(instrument_id(market, venue)) for market in markets}
        node = build_engine(settings, markets, instruments, recovered)
        gate = RiskGate(settings.trading.risk, markets=len(markets))
        recovered.restore(gate)
        self.feed = self._new_feed()
        events = {market: [event.at for event in one.events] for market, one in settings.markets.items()}
        self.signals = LiveSignals(
            markets,
            self.shelf,
            lambda *gap: supervisor.missing(*gap),
            cost_bps=settings.trading.costs.round_trip_bps,
            events=events,
            min_step=settings.quality.level_step.min_factor,
        )
        supervisor = Supervisor(
            settings.live_dir,
            instruments,
            self.signals,
            self.shelf,
            Hooks(self.tell, self.beat, self.stop),
            self.feed,
            max_step_pct=settings.node.feed.max_step_pct,
            poll=timedelta(seconds=settings.node.poll_deployment_s),
            replayed=self.replayed,
            reloads=settings.node.venue in RELOADING,
            close_only=self.close_only,
        )
        journal = StrategyJournal(self.journal, market_time=None if view is None else view.now)
        strategy = StrategyHost(
            HostConfig(
                markets=tuple(markets),
                position_share=settings.trading.sizing.position_share,
                max_volume_share=settings.trading.sizing.max_volume_share,
                taker_fee_bps=settings.trading.costs.market_order_bps,
                venue=venue,
                decision_timeframe=DECISION_TIMEFRAME,
                execution_timeframe=execution_timeframe(settings, markets),
                await_execution_bar=not self.replayed,  # the replay sends the finer bar first
                gather=_GATHER if len(markets) > 1 else None,
                listen_on_start=False,
            ),
            self.signals,
            journal,
            gate,
            plans=recovered.plans,
            entry_veto=self._entry_veto,
            leader_of=self.shelf.leader_of,
            feed=self.feed,
        )
        journal.follow(strategy)
        strategy.on_decision = self.on_decision
        self.strategy = supervisor.strategy = strategy
        node.add_actor(supervisor)
        node.add_strategy(strategy)
        strategy.set_external_order_instrument_ids(list(instruments.values()))  # what is recovered is the strategy's
        return node

    def _new_feed(self) -> FeedQuarantine:
        clock = ReplayClock(self.settings) if self.replayed else WallClock()
        return FeedQuarantine(self.settings.node.feed, clock, self._tell_feed, time.monotonic)

    def _tell_feed(self, event: str, detail: str) -> None:
        _LOG.warning(event, detail=detail)
        self.tell(event, detail)

    def _entry_veto(self, signal: Signal) -> str | None:
        """Why nothing may be entered now."""
        if kill_switch.engaged(self.settings.live_dir):
            return "the kill switch is on"
        if (why := self.feed.refusal(signal.market)) is not None:
            return f"the feed is not trusted: {why}"
        return None if self.replayed else too_late(signal.known_at, datetime.now(UTC), self.settings.node)

    def _run_engine(self, node: LiveNode) -> None:
        try:
            with stops_engine(node.handle().stop, self._leave_connecting), self._reports():
                node.run()
        except RuntimeError as error:
            place = self.settings.node.base_url_http or self._place()
            self.failure = self.failure or explain(error, place, self.settings.node.connect_timeout_s)
        finally:
            node.dispose()

    def _reports(self) -> AbstractContextManager[object]:
        """In a replay, the local exchange is told how far the node has come."""
        if not self.replayed:
            return nullcontext()
        return ProgressReports(self.settings, lambda: self.strategy.heard if self.strategy else None)

    def _leave_connecting(self) -> None:
        """End the process where the venue keeps the engine waiting: nothing was begun that would have to be ended."""
        if self.state == "connecting":
            self.tell("stopped", "")
            self.beat("stopped")
            os._exit(0)


def _pause_s(attempt: int) -> int:
    """Seconds after a failed attempt."""
    return int(min(2 ** (attempt - 1), _LONGEST_PAUSE_S))
