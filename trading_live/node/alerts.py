"""What the node tells people itself: from its events and its heartbeat, sent by a thread beside the engine's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from trading_assets.alerts import Alert, Level
from trading_assets.alerts.desk import Desk
from trading_assets.alerts.sources.node_events import JOURNAL_KEY, alert_of
from trading_assets.settings import Settings
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.metrics.account import is_protected

_GRACE_S: Final = 5.0
"""So long a trade may be open before its stop rests."""

_AGAIN_S: Final = 20.0


class NodeAlerts:
    """Makes alerts of what the node says of itself. Nothing of it waits or raises; without channels it does nothing.

    Parameters
    ----------
    settings
        Channels and limits.
    node
        The node's name.
    monotonic
        Seconds that only grow.
    """

    def __init__(self, settings: Settings, node: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._desk = Desk(settings) if settings.alerts.channels else None
        self._node = node
        self._trouble = ""
        self._monotonic = monotonic
        self._bare: dict[str, float] = {}
        self._told: set[str] = set()
        self._said_s = 0.0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send within a block."""
        if self._desk is None:
            yield
            return
        with self._desk.open():
            yield

    def told(self, event: str, detail: str) -> None:
        """Take a node event."""
        if self._desk is not None and (alert := alert_of(event, detail, self._node)) is not None:
            self._desk.take(alert)

    def beat(self, journal: str, strategy: StrategyHost | None) -> None:
        """Look at what no event tells of: a journal in trouble, and trades without a stop.

        Parameters
        ----------
        journal
            Why it cannot be written, and how much waits; empty where it can.
        strategy
            What runs; None where nothing does.
        """
        if self._desk is None:
            return
        self._look_at_journal(journal)
        if strategy is not None:
            self._look_at_stops(strategy)

    def _look_at_stops(self, strategy: StrategyHost) -> None:
        """A trade without a stop at rest for some seconds is told; its stop is usually there within a fraction."""
        assert self._desk is not None
        now = self._monotonic()
        bare = {market for market, plan in strategy.open_trades.items() if _is_bare(strategy, plan)}
        self._bare = {market: self._bare.get(market, now) for market in bare}
        lasting = {market for market, since in self._bare.items() if now - since >= _GRACE_S}
        again = now - self._said_s >= _AGAIN_S  # or who looks from outside, and sees less, would call it over
        self._said_s = now if again else self._said_s
        for market in sorted(lasting if again else lasting - self._told):
            self._tell_stop(market, "open without a stop at the venue", over=False)
        for market in sorted(self._told - lasting):
            self._tell_stop(market, "protected again", over=True)
        self._told = lasting

    def _tell_stop(self, market: str, what: str, *, over: bool) -> None:
        assert self._desk is not None
        key, remedy = f"node/unprotected/{market}", "see trading status; trading kill closes it"
        self._desk.take(Alert(Level.CRITICAL, f"{market}: {what}", f"node {self._node}", remedy, key, over=over))

    def _look_at_journal(self, journal: str) -> None:
        assert self._desk is not None
        trouble = journal.partition("; ")[0]
        if trouble == self._trouble:
            return
        self._trouble = trouble
        what = f"no entries: {journal}" if trouble else "the journal is written again"
        remedy = "free space on the disk, or make the journal and its folder writable"
        self._desk.take(Alert(Level.CRITICAL, what, f"node {self._node}", remedy, JOURNAL_KEY, over=not trouble))

    def notes(self) -> list[tuple[str, str]]:
        """Event and detail of alerts that were not sent, for the journal."""
        return [] if self._desk is None else list(self._desk.notes())


def _is_bare(strategy: StrategyHost, plan: TradePlan) -> bool:
    apart = plan.market in strategy.vanished  # what the account finds there is told as a difference
    return plan.stage in ("open", "exiting") and not apart and not is_protected(strategy, plan)
