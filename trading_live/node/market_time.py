"""A replay's journal runs on the market's clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from trading_assets.journal import BufferedJournal


class MarketJournal:
    """Stamps a replay's events with the market's time instead of the wall clock's, so that they fit the candles."""

    def __init__(self, journal: BufferedJournal, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._now = now

    def record_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> list[int]:
        """Write several events as one."""
        return self._journal.record_all(self._stamped(events))

    def keep_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Write several events as one, now or as soon as it can be."""
        self._journal.keep_all(self._stamped(events))

    def _stamped(self, events: Sequence[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
        now = self._now()
        return [(kind, {**event, "ts": now}) for kind, event in events]
