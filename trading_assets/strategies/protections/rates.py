"""How often something happens: orders, rejects, wanted entries, failed requests, and how long the venue takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from trading_assets.strategies.protections.account import model_of
from trading_assets.strategies.protections.facts import Reading
from trading_assets.strategies.protections.states import NODE, Scope, model_scope

MINUTE: Final = timedelta(minutes=1)
REJECTS_OVER: Final = timedelta(minutes=10)
FEWEST_ORDERS: Final = 6
"""Below, one order that the venue does not like is no rate: two round trips."""

_REFUSED: Final = ("denied", "rejected")
_ANSWERED: Final = ("accepted", "filled", "rejected")


class RateMeter:
    """Counts events of the journal in sliding windows of the market's time."""

    def __init__(self) -> None:
        self._orders: deque[datetime] = deque()
        self._refused: deque[datetime] = deque()
        self._wanted: dict[str, deque[datetime]] = {}
        self._failed: deque[datetime] = deque()
        self._latencies: deque[tuple[datetime, float]] = deque()
        self._sent: dict[str, datetime] = {}

    def hear(self, kind: str, row: Mapping[str, Any]) -> None:
        """Take in an event of the journal, in the order of writing."""
        if kind == "orders":
            self._order(row)
        elif kind == "signals" and row["action"] in ("enter", "refuse"):
            model = row.get("model") or model_of(row["signal_id"], row["market"])
            self._wanted.setdefault(model, deque()).append(row["ts"])

    def failed(self, now: datetime) -> None:
        """Count a request that the venue did not answer as it should."""
        self._failed.append(now)

    def readings(self, now: datetime) -> list[Reading]:
        """What is measured now."""
        orders = _count(self._orders, now - REJECTS_OVER)
        in_minute = sum(now - MINUTE < at for at in self._orders)
        refused = _count(self._refused, now - REJECTS_OVER)
        rate = 100 * refused / orders if orders >= FEWEST_ORDERS else 0.0
        while self._latencies and self._latencies[0][0] <= now - MINUTE:
            self._latencies.popleft()
        latency = median(seconds for _, seconds in self._latencies) if self._latencies else 0.0
        return [
            Reading("orders_per_minute", NODE, float(in_minute)),
            Reading("reject_rate_pct", NODE, rate),
            Reading("venue_errors_per_minute", NODE, float(_count(self._failed, now - MINUTE))),
            Reading("venue_latency_s", NODE, latency),
            *(
                Reading("signals_per_minute", model_scope(model), float(_count(times, now - MINUTE)))
                for model, times in self._wanted.items()
            ),
        ]

    def forget(self, cause: str, scope: Scope) -> None:
        """Begin to count anew: a hold for it has ended."""
        if cause in ("orders_per_minute", "reject_rate_pct"):
            self._orders.clear()
            self._refused.clear()
        elif cause == "venue_errors_per_minute":
            self._failed.clear()
        elif cause == "venue_latency_s":
            self._latencies.clear()
        elif cause == "signals_per_minute":
            self._wanted.pop(scope.name, None)

    def _order(self, row: Mapping[str, Any]) -> None:
        status, order_id, ts = row["status"], row["order_id"], row["ts"]
        if status == "initialized":
            self._orders.append(ts)
            self._sent[order_id] = ts
            return
        if status in _REFUSED:
            self._refused.append(ts)
        if status in _ANSWERED and (sent := self._sent.pop(order_id, None)) is not None:
            self._latencies.append((ts, (ts - sent).total_seconds()))
        elif status in ("denied", "canceled", "expired"):
            self._sent.pop(order_id, None)


def _count(times: deque[datetime], after: datetime) -> int:
    """How many are later; the earlier ones are dropped."""
    while times and times[0] <= after:
        times.popleft()
    return len(times)
