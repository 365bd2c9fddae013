"""The live node: the deployed models on a venue's market data, with orders filled as the settings say."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

import structlog
from nautilus_trader.live import LiveNode

from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, BufferedJournal
from trading_assets.settings import Settings
from trading_assets.strategies.signals import Stream
from trading_live.execution.contract import Apart
from trading_live.execution.permission import require_nothing_left, require_permission, untested
from trading_live.execution.registry import execution_of
from trading_live.metrics.choice import metrics_of
from trading_live.node.alerts import NodeAlerts
from trading_live.node.assembly import Assembled, OnDecision, Process, assemble
from trading_live.node.auxiliary.needs import NO_NEEDS
from trading_live.node.bars.fatal_requests import FatalRequests
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.needs import needs_of
from trading_live.node.engine import VenueUnreachable, explain
from trading_live.node.garbage import kept_objects
from trading_live.node.journal.late_journal import open_journal
from trading_live.node.journal.pulse import Pulse
from trading_live.node.journal.trade_log import TradeLog
from trading_live.node.shutdown import stop_when_settled
from trading_live.operations import kill_switch
from trading_live.operations.heartbeat import NodeLock, missing_journal, read_heartbeat
from trading_live.operations.interrupts import stops_engine
from trading_live.operations.restarts import node_name
from trading_live.recovery.from_journal import STARTED, Recovered
from trading_live.venues.account import VenueError
from trading_live.venues.contract import Glance
from trading_live.venues.registry import venue_of

_LOG: Final = structlog.get_logger(__name__)
_LONGEST_PAUSE_S: Final = 60


def run_node(
    settings: Settings,
    *,
    on_decision: OnDecision | None = None,
    close_only: bool = False,
    accepted: str | None = None,
) -> None:
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
    accepted
        The account that real orders were accepted for, where the settings are about real money.

    Raises
    ------
    NodeError
        If real orders are not permitted, the kill switch is on, another node runs on the folder, no model can be used
        and nothing is open, or the venue cannot be reached.
    """
    require_permission(settings, accepted)
    if not close_only:
        kill_switch.require_off(settings.live_dir)
    lock = NodeLock(settings.live_dir)
    lock.acquire()
    try:
        if (missing := missing_journal(settings.live_dir)) is not None:
            raise missing
        journal = open_journal(settings.live_dir / JOURNAL_FILE, node_name(settings.node))
        try:
            _Run(settings, lock, journal, on_decision, close_only=close_only).run()
        finally:
            journal.close()
    finally:
        lock.release()


class _Run:
    """One run of the node: attempts to connect, and the engine of the one that does."""

    def __init__(
        self,
        settings: Settings,
        lock: NodeLock,
        journal: BufferedJournal,
        on_decision: OnDecision | None,
        *,
        close_only: bool,
    ) -> None:
        former = read_heartbeat(settings.live_dir)
        metrics, opened = metrics_of(settings, journal), former.open_markets if former is not None else ()
        self.alerts = NodeAlerts(settings, journal.node)
        log = TradeLog(settings.node.account)
        journal.told = log.take
        pulse = Pulse(settings.node, lock, journal, opened, metrics, self.alerts)
        models, venue = DeployedModels(settings, pulse.tell), venue_of(settings)
        challengers = Challengers(settings, pulse.tell, historic=venue.historic)
        pulse.follow(models, challengers)
        self.process = Process(
            settings=settings,
            venue=venue,
            execution=execution_of(settings, venue),
            journal=journal,
            log=log,
            pulse=pulse,
            metrics=metrics,
            models=models,
            challengers=challengers,
            fatal=FatalRequests(settings.live_dir),
            stop=self.stop,
            on_decision=on_decision,
            close_only=close_only,
        )
        self.failure: NodeError | None = None
        self.engine: LiveNode | None = None

    def run(self) -> None:
        """From the journal to the journal."""
        with self.process.log.telling(), self.alerts.sending(), self.process.metrics.serving(self.process.pulse.tell):
            self._run()

    def _run(self) -> None:
        pulse = self.process.pulse
        pulse.beat("starting")
        self.process.fatal.watch()
        try:
            attempts = self.process.settings.node.connect_attempts
            for attempt in range(1, attempts + 1):
                self._attempt()
                if attempt == attempts or not isinstance(self.failure, VenueUnreachable):
                    break
                self._pause(f"attempt {attempt} of {attempts} failed: {self.failure.what}", _pause_s(attempt))
        finally:
            self.process.fatal.end()
            pulse.tell("stopped", str(self.failure or ""))
            pulse.beat("stopped")
        if self.failure is not None:
            raise self.failure

    def stop(self, failure: NodeError | None) -> None:
        """Stop the engine; the first failure counts."""
        self.failure = self.failure or failure
        if self.engine is not None:
            self.engine.handle().stop()

    def _attempt(self) -> None:
        """Start the engine, and run it until it ends."""
        process, pulse = self.process, self.process.pulse
        self.failure = None
        glance = process.venue.look()
        try:
            recovered = recover_session(process, glance)
        except VenueError as error:  # nothing is concluded from a journal alone
            if error.answered:
                raise
            self.failure = VenueUnreachable(error.what, where=error.where, remedy=error.remedy)
            return
        if process.close_only and not recovered.open_markets:
            pulse.tell("nothing is open", "")
            return
        load_models(process, recovered)
        warn_of_untested(process)
        streams = streams_to_listen_to(process, recovered, glance)
        needs = NO_NEEDS
        if not process.close_only:
            needs = needs_of(process.settings, [*process.models.models, *process.challengers.named()], streams)
        process.models.listen_to(streams)
        process.models.hold(needs.bars)
        process.challengers.listen_to(streams)
        process.challengers.hold(needs.bars)
        if (apart := self._prepare(streams, recovered)) is None:
            return
        pulse.tell(STARTED, process.venue.place)
        parts = assemble(process, streams, recovered, glance, apart, needs)
        self.engine = parts.engine
        pulse.beat("connecting")
        try:
            with (
                kept_objects(),
                stops_engine(self._stop_of(parts), self._leave_connecting),
                process.venue.follow(lambda: parts.strategy.heard or glance.now),
                parts.comparing,
            ):
                parts.engine.run()
        except RuntimeError as error:
            timeout_s = process.settings.node.connect_timeout_s
            self.failure = self.failure or explain(error, process.venue.address, timeout_s)
        finally:
            parts.engine.dispose()
            parts.protections.close()
            parts.auxiliary.close()
        self.engine = None  # there is one at a time
        pulse.end_run()

    def _stop_of(self, parts: Assembled) -> Callable[[], None]:
        """What ends an engine in order."""
        stop: Callable[[], None] = parts.engine.handle().stop
        real = self.process.settings.node.mode == "live"
        return partial(stop_when_settled, parts.strategy, stop) if real else stop

    def _prepare(self, streams: Sequence[Stream], recovered: Recovered) -> Apart | None:
        """Markets on which nothing is entered, and why; None where the venue did not answer."""
        process = self.process
        markets = list(dict.fromkeys(stream.market for stream in streams))
        try:
            return process.execution.prepare(markets, recovered, process.journal.path, process.pulse.tell)
        except VenueError as error:
            if error.answered:
                raise
            self.failure = VenueUnreachable(error.what, where=error.where, remedy=error.remedy)
            return None

    def _pause(self, why: str, seconds: int) -> None:
        """Wait before the next attempt, and say so; the kill switch ends the waiting."""
        pulse = self.process.pulse
        pulse.tell("connect failed", f"{why}; the next one in {seconds} s")
        _LOG.warning("connect failed", why=why, next_attempt_s=seconds)
        for left in range(seconds, 0, -1):
            pulse.detail = f"{why}; the next one in {left} s"
            pulse.beat("connecting")
            time.sleep(1)
            if not self.process.close_only:
                kill_switch.require_off(self.process.settings.live_dir)
        pulse.detail = ""

    def _leave_connecting(self) -> None:
        """End the process where the venue keeps the engine waiting: nothing was begun that would have to be ended."""
        if self.process.pulse.state == "connecting":
            self.process.pulse.tell("stopped", "")
            self.process.pulse.beat("stopped")
            os._exit(0)


def _pause_s(attempt: int) -> int:
    """Seconds after a failed attempt."""
    return int(min(2 ** (attempt - 1), _LONGEST_PAUSE_S))


def recover_session(process: Process, glance: Glance) -> Recovered:
    """What the journal says is held; a replay that begins anew, or another venue, begins a new session."""
    journal, pulse, place = process.journal, process.pulse, process.venue.place
    recovered = process.execution.recover(journal.path)
    went_back = glance.now is not None and recovered.newest is not None and glance.now < recovered.newest
    if went_back or recovered.last_start not in (None, place):
        require_nothing_left(recovered.last_start, place, recovered.open_markets)
        left = ", ".join(holding.market for holding in recovered.holdings)
        journal.new_session()
        pulse.tell("new session", f"{place}; left behind: {left or 'nothing'}")
        recovered = process.execution.recover(journal.path)
    pulse.open_markets = recovered.open_markets
    if recovered.repairs:
        journal.keep_all(recovered.repairs)
        pulse.tell("journal completed", f"{len(recovered.repairs)} events that the former process could not write")
    for holding in recovered.holdings:
        pulse.tell("position recovered", f"{holding.market}: {holding.quantity:g} at {holding.average_price:g}")
        entry = holding.fills[0].order_id
        _LOG.info("position recovered", market=holding.market, quantity=holding.quantity, order_id=entry)
    return recovered


def load_models(process: Process, recovered: Recovered) -> None:
    """Take what is deployed; where no model can be used, what is open is managed without one.

    Raises
    ------
    NodeError
        If no model can be used, and nothing is open.
    """
    if process.close_only:
        return
    process.models.refresh()
    if process.models.models:
        return
    without = process.models.without_models
    if not recovered.open_markets:
        raise NodeError(
            without,
            where=str(process.settings.live_dir),
            remedy="approve and deploy one (trading demo does; trading models lists them)",
        )
    process.pulse.tell("manage only", f"{', '.join(recovered.open_markets)}: {without}")
    _LOG.warning("no entries, open positions are managed", reason=without)


def warn_of_untested(process: Process) -> None:
    """Say of which models nothing is known to have been filled on the venue's testnet, where real money is next."""
    models = [(one.deployed.model, one.deployed.version) for one in process.models.models]
    if names := untested(process.settings, models):
        advice = "run them with environment: testnet first"
        process.pulse.warn("untested", f"{', '.join(names)}: no fill on the testnet in this journal; {advice}")


def streams_to_listen_to(process: Process, recovered: Recovered, glance: Glance) -> list[Stream]:
    """What is decided on, read beside it or open, and what a later deployment of the settings' models may need.

    Raises
    ------
    NodeError
        If the venue is known not to have what is needed.
    """
    models, settings = process.models, process.settings
    needed = set(models.streams)
    leaders = [(models.leader_of(stream), stream.timeframe) for stream in needed]
    needed |= {Stream(leader, timeframe) for leader, timeframe in leaders if leader is not None}
    heard = {stream.market for stream in needed}
    unread = [market for market in recovered.open_markets if market not in heard]  # managed on the finest bars
    needed |= {Stream(market, process.venue.finest_timeframe([market])) for market in unread}
    markets = {stream.market for stream in needed}
    process.venue.require(markets, glance)
    if process.close_only:
        return sorted(needed)
    return sorted(
        needed | later_streams(process, process.venue.also(settings.markets_of(settings.models), markets, glance))
    )


def later_streams(process: Process, markets: Collection[str]) -> set[Stream]:
    """What the settings' models would decide on, of these markets, as far as the venue has such bars."""
    settings = process.settings
    wanted = {
        Stream(market, settings.timeframe_of(name).name)
        for name in settings.models
        for market in settings.markets_of([name])
        if market in markets
    }
    return {one for one in wanted if process.venue.refusal(one.market, one.timeframe) is None}
