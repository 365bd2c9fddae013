"""Who watches a strategy at work: told of bars and order events as they come, and changes nothing."""

from __future__ import annotations

from typing import Any, Protocol

from trading_assets.strategies.signals import ClosedBar


class Watch(Protocol):
    """Must not take time, and must not raise."""

    def bar(self, bar: ClosedBar, arrived_ns: int) -> None:
        """A bar came; ``arrived_ns`` is when, by the engine's clock."""
        ...

    def order_event(self, event: Any) -> None:
        """An order of the strategy has a new status."""
        ...
