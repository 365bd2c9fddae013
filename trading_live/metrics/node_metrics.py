"""A node's metrics as a whole: what the parts of a node are given, and what a scrape gets."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from trading_assets.journal import BufferedJournal
from trading_assets.monitoring.exported.page import Page
from trading_assets.settings import Settings
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.signals import Journal
from trading_live.metrics import catalogue as m
from trading_live.metrics.account import Peaks, Protection, open_positions
from trading_live.metrics.choice import OnDecision, Tell
from trading_live.metrics.connections import Connections
from trading_live.metrics.counting import Counts
from trading_live.metrics.exposition import PageCollector, text_of
from trading_live.metrics.parts import Parts
from trading_live.metrics.reading import read_parts, read_process
from trading_live.metrics.server import serving
from trading_live.operations.heartbeat import Heartbeat

_LOG: Final = logging.getLogger(__name__)


class NodeMetrics:
    """Counts on the engine's thread, and makes a new page with each heartbeat; whoever scrapes gets the newest one.

    The engine's objects are touched on its own thread only: a page is plain numbers, and replaces the one before as a
    whole. Nothing here raises, and nothing waits.

    Parameters
    ----------
    settings
        The node's folder and limits.
    journal
        What waits in it is a metric.
    monotonic
        Seconds that only grow, the clock of all ages.
    """

    def __init__(
        self, settings: Settings, journal: BufferedJournal, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.registry = CollectorRegistry()
        self.counts = Counts(self.registry, monotonic)
        self._monotonic = monotonic
        self.page = Page()
        self._settings = settings
        self._journal = journal
        self._parts: Parts | None = None
        self._thread = 0
        self._began = monotonic()
        self._peaks = Peaks()
        self._protection = Protection(monotonic)
        self._ended: dict[str, int] = {}
        self._connections = Connections(self.counts)
        self._complained = ""
        self.registry.register(PageCollector(lambda: self.page, monotonic))
        for further in (ProcessCollector, PlatformCollector, GCCollector):
            further(registry=self.registry)

    def serving(self, tell: Tell) -> AbstractContextManager[int | None]:
        """Serve the page within a block; yields the port."""
        return serving(self.registry, self._settings.node.metrics_host, self._settings.node.metrics_port, tell)

    # -- given to the node's parts --------------------------------------------------------------------------------

    def journal(self, journal: Journal) -> Journal:
        """The strategy's journal, counted."""
        return self.counts.journal(journal)

    def watch(self, strategy: StrategyHost, on_decision: OnDecision | None) -> None:
        """Be told of a strategy's bars, order events and decisions."""
        strategy.watch = self.counts
        strategy.on_decision = self.counts.on_decision(on_decision)

    def run_with(self, engine: Any, parts: Parts) -> None:
        """Read an engine's parts from now on: there is one at a time."""
        self._remember_totals()
        self._connections = Connections(self.counts)
        engine.add_actor(self._connections)
        self._began = self._monotonic()
        self._parts, self._thread = parts, threading.get_ident()

    def end_run(self) -> None:
        """The engine has ended; its objects must not be touched any more."""
        self._remember_totals()
        self._parts = None

    def told(self, event: str) -> None:
        """Count a node event."""
        self.counts.told(event)

    def beat(self, beat: Heartbeat) -> None:
        """Make a page, as of this heartbeat; one of another thread, as a node's that is stopped early, has no parts."""
        page = Page()
        try:
            page.since(m.HEARTBEAT_AGE, self._monotonic())
            read_process(page, beat, self._settings, self._journal)
            if (parts := self._parts) is not None and threading.get_ident() == self._thread:
                positions = open_positions(parts)
                read_parts(page, parts, self._connections, self.counts, self._settings, positions, began=self._began)
                self._protection.read(page, parts, positions)
                self._peaks.read(page)
        except Exception as error:
            page.set(m.INCOMPLETE, 1)
            self._complain(error)
        else:
            page.set(m.INCOMPLETE, 0)
        for metric, total in ((m.ERRORS, "errors"), (m.MISSED, "missed"), (m.RECOVERED, "recovered")):
            page.set(metric, self._ended.get(total, 0) + self._totals().get(total, 0))
        page.set(m.DROPPED, page.dropped)
        self.page = page

    def text(self) -> str:
        """What a scrape gets now."""
        return text_of(self.registry)

    def _complain(self, error: Exception) -> None:
        """Log an error once, not once a second."""
        if (what := f"{type(error).__name__}: {error}") != self._complained:
            self._complained = what
            _LOG.exception("metrics")

    def _totals(self) -> dict[str, int]:
        """What the present engine's parts have counted themselves."""
        if self._parts is None:
            return {}
        strategy, loader = self._parts.strategy, self._parts.loader
        return {"errors": len(strategy.errors), "missed": loader.missed, "recovered": loader.recovered}

    def _remember_totals(self) -> None:
        for name, count in self._totals().items():
            self._ended[name] = self._ended.get(name, 0) + count
