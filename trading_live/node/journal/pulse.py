"""What a node says about itself: into its journal when something happens, and once a second into its heartbeat."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import structlog

from trading_assets.journal import NODE, BufferedJournal
from trading_assets.settings import NodeSettings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host.host import StrategyHost
from trading_live.metrics.choice import Metrics, Unwatched
from trading_live.node.decisions.admission import ModelInUse
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.journal.account_curve import AccountCurve
from trading_live.node.journal.feature_rows import FeatureRows
from trading_live.operations.heartbeat import Heartbeat, NodeLock, RunningModel, State

_LOG = structlog.get_logger(__name__)


class Alerts(Protocol):
    """Who tells people. Nothing of it raises or waits."""

    def told(self, event: str, detail: str) -> None:
        """Take a node event."""
        ...

    def beat(self, journal: str, strategy: StrategyHost | None) -> None:
        """Look, once a second: why the journal cannot be written (empty where it can), and the strategy that runs."""
        ...

    def notes(self) -> list[tuple[str, str]]:
        """Event and detail of what could not be told."""
        ...


class Pulse:
    """Tells the journal, and writes the heartbeat.

    Parameters
    ----------
    settings
        Venue, environment and mode.
    lock
        Of the node's folder; writes the heartbeat.
    journal
        Told of events, and flushed with each heartbeat.
    open_markets
        Where something was open before this process.
    metrics
        Told of events and heartbeats, too.
    alerts
        Likewise; what it could not send is journalled.

    Attributes
    ----------
    state
        Of the newest heartbeat.
    detail
        What the state waits for, where there is more to say.
    """

    def __init__(
        self,
        settings: NodeSettings,
        lock: NodeLock,
        journal: BufferedJournal,
        open_markets: tuple[str, ...],
        metrics: Metrics | None = None,
        alerts: Alerts | None = None,
    ) -> None:
        self.state: State = "starting"
        self.detail = ""
        self.open_markets = open_markets
        self._settings = settings
        self._lock = lock
        self._journal = journal
        self._metrics: Metrics = metrics or Unwatched()
        self._alerts = alerts
        self._started_at = datetime.now(UTC)
        self._models: DeployedModels | None = None
        self._challengers: Challengers | None = None
        self._running: tuple[StrategyHost, LiveSignals, FeedQuarantine] | None = None
        self._rows: FeatureRows | None = None
        self._curve: AccountCurve | None = None

    def tell(self, event: str, detail: str) -> None:
        """Into the journal."""
        self._metrics.told(event)
        if self._alerts is not None:
            self._alerts.told(event, detail)
        self._journal.keep_all([(NODE, {"ts": datetime.now(UTC), "event": event, "detail": detail})])

    def warn(self, event: str, detail: str) -> None:
        """Into the journal, and as a warning into the log."""
        _LOG.warning(event, detail=detail)
        self.tell(event, detail)

    def follow(self, models: DeployedModels, challengers: Challengers) -> None:
        """Speak of these models from now on."""
        self._models, self._challengers = models, challengers

    def run_with(
        self,
        strategy: StrategyHost,
        signals: LiveSignals,
        feed: FeedQuarantine,
        rows: FeatureRows | None = None,
        curve: AccountCurve | None = None,
    ) -> None:
        """Speak of an engine's parts from now on, and journal feature rows and account with each heartbeat."""
        self._running, self._rows, self._curve = (strategy, signals, feed), rows, curve

    def end_run(self) -> None:
        """Speak of no engine any more: there is one at a time."""
        if self._running is not None:
            self.open_markets = self._open_markets()
        if self._rows is not None:
            self._rows.write()
        self._running = self._rows = self._curve = None
        self._metrics.end_run()

    def beat(self, state: State) -> None:
        """Write the heartbeat."""
        models = self._models.models if self._models is not None else ()
        if state == "trading" and self._all_silent():
            state = "silent"
        self.state = state
        if self._rows is not None:
            self._rows.write()
        if self._curve is not None:
            self._curve.write()
        self._journal.flush()
        if self._alerts is not None:
            self._alerts.beat(self._journal.complaint, None if self._running is None else self._running[0])
            for note in self._alerts.notes():
                self.tell(*note)
        beat = Heartbeat(
            pid=os.getpid(),
            state="managing" if state == "trading" and not models else state,
            node=self._journal.node,
            venue=self._settings.venue,
            environment=self._settings.environment,
            mode=self._settings.mode,
            started_at=self._started_at,
            beat_at=datetime.now(UTC),
            models=_running(models),
            challengers=_running(self._challengers.models if self._challengers is not None else ()),
            challengers_aside=self._challengers.refusals if self._challengers is not None else {},
            refused=self._models.refusals if self._models is not None else {},
            detail=self.detail,
            journal=self._journal.complaint,
            open_markets=self._open_markets(),
        )
        beat = beat.model_copy(update=self._of_the_run(beat))
        self._lock.beat(beat)
        self._metrics.beat(beat)

    def _of_the_run(self, beat: Heartbeat) -> dict[str, object]:
        """What only a built engine has to say."""
        if self._running is None:
            return {}
        strategy, signals, feed = self._running
        untrusted, ends = feed.reasons(), _ends(signals)
        return {
            "market_time": strategy.now,
            "last_bars": {market: max(one.end for one in of) for market, of in ends.items()},
            "next_bars": {market: min(one.next for one in of) for market, of in ends.items()},
            "waiting": signals.state() | untrusted,
            "untrusted": untrusted,
            "halted": strategy.halted,
            "refused": beat.refused | signals.refused,
        }

    def _open_markets(self) -> tuple[str, ...]:
        return self.open_markets if self._running is None else tuple(sorted(self._running[0].open_trades))

    def _all_silent(self) -> bool:
        """Whether no market that a model trades sends bars."""
        if self._running is None or self._models is None:
            return False
        _, signals, feed = self._running
        traded = {market for model in self._models.models for market in model.deployed.markets} - set(signals.refused)
        return bool(traded) and all(feed.is_silent(market) for market in traded)


def _running(models: Iterable[ModelInUse]) -> tuple[RunningModel, ...]:
    return tuple(
        RunningModel(
            model=one.deployed.model,
            version=one.deployed.version,
            bundle_hash=one.deployed.bundle_hash,
            markets=one.deployed.markets,
        )
        for one in models
    )


class _Ends(NamedTuple):
    """When the newest bar of a stream ended, and when the next one does."""

    end: datetime
    next: datetime


def _ends(signals: LiveSignals) -> dict[str, list[_Ends]]:
    """Market -> ends of the bars of each of its timeframes."""
    found: dict[str, list[_Ends]] = {}
    for stream, one in signals.histories.items():
        if one.last is not None:
            end = one.last + one.length
            found.setdefault(stream.market, []).append(_Ends(end, end + one.length))
    return found
