"""Whether a node is watched: where no port is set, nothing is counted and Prometheus' client is not even imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from trading_assets.journal import BufferedJournal
from trading_assets.settings import Settings
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.signals import Journal, Signal
from trading_live.metrics.parts import Parts
from trading_live.operations.heartbeat import Heartbeat

OnDecision = Callable[[Signal, str], None]
Tell = Callable[[str, str], None]


class Metrics(Protocol):
    """What a node's parts give to its metrics. Nothing of it raises or waits."""

    def serving(self, tell: Tell) -> AbstractContextManager[int | None]:
        """Serve the page within a block; yields the port."""
        ...

    def journal(self, journal: Journal) -> Journal:
        """The strategy's journal, counted."""
        ...

    def watch(self, strategy: StrategyHost, on_decision: OnDecision | None) -> None:
        """Be told of a strategy's bars, order events and decisions."""
        ...

    def run_with(self, engine: Any, parts: Parts) -> None:
        """Read an engine's parts from now on: there is one at a time."""
        ...

    def end_run(self) -> None:
        """The engine has ended."""
        ...

    def told(self, event: str) -> None:
        """Count a node event."""
        ...

    def beat(self, beat: Heartbeat) -> None:
        """Make a page, as of this heartbeat."""
        ...


class Unwatched:
    """Of a node without ``node.metrics_port``: nothing is counted."""

    @contextmanager
    def serving(self, tell: Tell) -> Iterator[int | None]:
        """Serve nothing."""
        _ = tell
        yield None

    def journal(self, journal: Journal) -> Journal:
        """The journal itself."""
        return journal

    def watch(self, strategy: StrategyHost, on_decision: OnDecision | None) -> None:
        """Whoever else wants to be told of decisions is."""
        strategy.on_decision = on_decision

    def run_with(self, engine: Any, parts: Parts) -> None:
        """Read nothing."""

    def end_run(self) -> None:
        """Nothing was read."""

    def told(self, event: str) -> None:
        """Count nothing."""

    def beat(self, beat: Heartbeat) -> None:
        """Make no page."""


def metrics_of(settings: Settings, journal: BufferedJournal) -> Metrics:
    """What the settings ask for."""
    if settings.node.metrics_port is None:
        return Unwatched()
    from trading_live.metrics.node_metrics import NodeMetrics

    return NodeMetrics(settings, journal)
