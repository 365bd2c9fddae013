"""What is counted as it happens, on the engine's thread: an addition each, and nothing that can fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

from prometheus_client import CollectorRegistry

from trading_assets.strategies.orders.journal_rows import status_of
from trading_assets.strategies.signals import ClosedBar, Journal, Signal
from trading_live.metrics import catalogue
from trading_live.metrics.choice import OnDecision
from trading_live.metrics.exposition import counter, histogram

type Events = Sequence[tuple[str, dict[str, Any]]]

_LOG: Final = logging.getLogger(__name__)
BUCKETS: Final = (5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds; 10 and 50 ms are what the node promises from a bar to its order."""

STAGES: Final = ("bar_to_decision", "decision_to_order", "bar_to_order", "journal_write", "order_to_ack")
MOST_EVENTS: Final = 100
"""Names of node events that are told apart; the node has about forty."""

_MOST_UNDERWAY: Final = 10_000
_SENT: Final = "submitted"
_LOCAL: Final = ("initialized", _SENT, "pending_cancel", "pending_update", "emulated", "released")
"""What an order becomes without a word of the venue."""


def unfailing[**P](counting: Callable[P, None]) -> Callable[P, None]:
    """What is counted is never worth a trade: an error is logged, and the strategy goes on."""

    @wraps(counting)
    def counted(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            counting(*args, **kwargs)
        except Exception:
            _LOG.exception("metrics")

    return counted


class Counts:
    """Counters and histograms of a node's life, whatever becomes of its engines.

    It is a :class:`trading_assets.strategies.host.watching.Watch`.

    Parameters
    ----------
    registry
        Shows them.
    monotonic
        Seconds that only grow, the clock of all ages.
    """

    def __init__(self, registry: CollectorRegistry, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._events = counter(catalogue.EVENTS, registry)
        self._reconnects = counter(catalogue.RECONNECTS, registry)
        self._bars = counter(catalogue.BARS, registry)
        self._decisions = counter(catalogue.DECISIONS, registry)
        self._orders = counter(catalogue.ORDER_EVENTS, registry)
        self._fills = counter(catalogue.FILLS, registry)
        self._traded = counter(catalogue.TRADED, registry)
        self._trades = counter(catalogue.TRADES, registry)
        latency = histogram(catalogue.LATENCY, registry, BUCKETS)
        self._latency = {stage: latency.labels(stage) for stage in STAGES}
        for purpose in ("entry", "stop_loss", "take_profit", "exit"):
            for status in ("initialized", "rejected", "denied"):
                self._orders.labels(purpose, status)  # a first one is a rise from 0
        self._known: set[str] = set()
        self._sent_ns: dict[str, int] = {}
        self._arrived_ns: dict[tuple[str, str], int] = {}
        self._entering: dict[str, int] = {}
        self.fees: dict[str, float] = {}
        self.heard: dict[str, float] = {}
        """Market -> the monotonic second at which its newest bar came."""
        self.early_s: dict[str, float] = {}
        """Market -> by how much its newest bar ended after it came; negative for one that came after its end."""
        self.decided: float | None = None
        """The monotonic second of the newest decision."""
        self._decided_at = 0.0
        self._decided_ns = 0

    # -- the strategy's watch -------------------------------------------------------------------------------------

    @unfailing
    def bar(self, bar: ClosedBar, arrived_ns: int) -> None:
        """Count a bar, and note when it came."""
        self._bars.labels(bar.timeframe).inc()
        self._arrived_ns[bar.market, bar.timeframe] = arrived_ns
        self.heard[bar.market] = self._monotonic()
        self.early_s[bar.market] = bar.known_at.timestamp() - arrived_ns / 1e9

    @unfailing
    def order_event(self, event: Any) -> None:
        """Note when an order was sent, and how long the venue took to say its first word."""
        order_id, status = event.client_order_id.value, status_of(event)
        if status == _SENT:
            if len(self._sent_ns) >= _MOST_UNDERWAY:
                self._sent_ns.pop(next(iter(self._sent_ns)))
            self._sent_ns[order_id] = event.ts_init
        elif status not in _LOCAL and (sent := self._sent_ns.pop(order_id, None)) is not None:
            self._latency["order_to_ack"].observe(max(event.ts_init - sent, 0) / 1e9)

    # -- what the journal is given --------------------------------------------------------------------------------

    def journal(self, journal: Journal) -> Journal:
        """The same journal, counted."""
        return CountedJournal(journal, self)

    @unfailing
    def written(self, seconds: float) -> None:
        """An entry waited so long for the disk."""
        self._latency["journal_write"].observe(seconds)

    @unfailing
    def deciding(self, events: Events) -> None:
        """Decisions are about to be written: remember when they were made."""
        if events and events[0][0] == "signals":
            self._decided_at = time.perf_counter()
            self._decided_ns = int(events[0][1]["ts"].timestamp() * 1e9)

    @unfailing
    def happened(self, events: Events) -> None:
        """Count what the journal was given."""
        for kind, row in events:
            if kind == "signals":
                self._decision(row)
            elif kind == "orders":
                self._orders.labels(row["purpose"], row["status"]).inc()
            elif kind == "fills":
                self._fills.labels(row["side"]).inc()
                self._traded.inc(abs(row["quantity"] * row["price"]))
                self.fees[row["fee_currency"]] = self.fees.get(row["fee_currency"], 0.0) + row["fee"]
            elif kind == "positions" and row["event"] == "closed":
                self._trades.labels("won" if row["realized_pnl"] > 0 else "lost").inc()

    def _decision(self, row: dict[str, Any]) -> None:
        self._decisions.labels(row["model"], row["action"]).inc()
        self.decided = self._monotonic()
        arrived = self._arrived_ns.get((row["market"], row["timeframe"]))
        if arrived is not None:
            self._latency["bar_to_decision"].observe(max(self._decided_ns - arrived, 0) / 1e9)
            if row["action"] == "enter":
                self._entering[row["signal_id"]] = arrived

    def on_decision(self, further: OnDecision | None) -> OnDecision:
        """For the strategy, which calls it when entries are sent; ``further`` is called after it."""

        def told(signal: Signal, action: str) -> None:
            if action == "enter":
                self._sent(signal.signal_id)
            if further is not None:
                further(signal, action)

        return told

    @unfailing
    def _sent(self, signal_id: str) -> None:
        since = time.perf_counter() - self._decided_at
        self._latency["decision_to_order"].observe(since)
        if (arrived := self._entering.pop(signal_id, None)) is not None:
            self._latency["bar_to_order"].observe(max(self._decided_ns - arrived, 0) / 1e9 + since)

    # -- the node -------------------------------------------------------------------------------------------------

    def told(self, event: str) -> None:
        """Count a node event; names beyond :data:`MOST_EVENTS` count as ``other``."""
        if event not in self._known and len(self._known) >= MOST_EVENTS:
            event = "other"
        self._known.add(event)
        self._events.labels(event).inc()

    def reconnected(self, client: str) -> None:
        """Count a connection that was made again."""
        self._reconnects.labels(client).inc()


class CountedJournal:
    """A journal whose events are counted when it has taken them.

    Parameters
    ----------
    journal
        Takes them.
    counts
        Told of them.
    """

    def __init__(self, journal: Journal, counts: Counts) -> None:
        self._journal = journal
        self._counts = counts

    def record_all(self, events: Events) -> object:
        """As the journal; how long it took is a latency, for an entry waits for it."""
        self._counts.deciding(events)
        began = time.perf_counter()
        written = self._journal.record_all(events)
        self._counts.written(time.perf_counter() - began)
        self._counts.happened(events)
        return written

    def keep_all(self, events: Events) -> object:
        """As the journal."""
        self._counts.deciding(events)
        kept = self._journal.keep_all(events)
        self._counts.happened(events)
        return kept
