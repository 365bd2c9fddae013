"""A replay's journal runs on the market's clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from trading_assets.journal import Journal


class MarketJournal:
    """Stamps a replay's events with the market's time instead of the wall clock's, so that they fit the candles."""

    def __init__(self, journal: Journal, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._now = now

    def record(self, kind: str, event: dict[str, Any]) -> int:
        """Write one event."""
        return self._journal.record(kind, {**event, "ts": self._now()})

    def record_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> list[int]:
        """Write several events as one."""
        now = self._now()
        return self._journal.record_all([(kind, {**event, "ts": now}) for kind, event in events])
