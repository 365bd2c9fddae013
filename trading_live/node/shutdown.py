"""Closing what is open and then stopping: by the kill switch, or because only that was asked for. No engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.plans.plan import ExitReason
from trading_live.operations import kill_switch

_LOG = structlog.get_logger(__name__)
_CLOSE_S: Final = 90.0
"""Longer than a minute: after a restart the sandbox has no price, and takes no order, before the first bar."""


def stop_when_settled(
    strategy: StrategyHost, stop: Callable[[], None], *, patience_s: float = 3.0, pause_s: float = 0.05
) -> None:
    """Stop an engine whose orders are real: entries and exits on their way are waited for, and stops, which stay.

    Nothing is entered meanwhile: an order that is sent as the engine ends fills, and nobody protects what it bought.
    For another thread than the engine's: it looks at plans, and at nothing of the engine.
    """
    strategy.ending = "the node is ending"
    time.sleep(pause_s)  # a decision that has begun is made
    deadline = time.monotonic() + patience_s
    while any(plan.stage in ("entering", "exiting") for plan in list(strategy.open_trades.values())):
        if time.monotonic() > deadline:
            break
        time.sleep(pause_s)
    time.sleep(10 * pause_s)  # what was sent last arrives
    stop()


class Shutdown:
    """Watches for a reason to close everything, and follows it up until all is closed.

    Parameters
    ----------
    live_dir
        Where the kill file appears.
    strategy
        Closes its positions.
    tell
        (event, detail): into the node's journal.
    close_only
        Whether to close from the start.
    """

    def __init__(
        self, live_dir: Path, strategy: StrategyHost, tell: Callable[[str, str], None], *, close_only: bool
    ) -> None:
        self.close_only = close_only
        self._live_dir = live_dir
        self._strategy = strategy
        self._tell = tell
        self._since: float | None = None

    @property
    def begun(self) -> bool:
        """Whether positions are being closed."""
        return self._since is not None

    def asked(self) -> tuple[ExitReason, str] | None:
        """Why everything is to be closed now, and the words of whoever wants it; None once that has begun."""
        if self.begun:
            return None
        if (switch := kill_switch.engaged(self._live_dir)) is not None:
            return "kill", switch.reason
        return ("close_only", "trading paper --close-only") if self.close_only else None

    def begin(self, reason: ExitReason, why: str, listen: Callable[[], None]) -> None:
        """Close what is open, whatever fails; the journal hears of it first, so that the next process would go on.

        Parameters
        ----------
        reason, why
            As :meth:`asked` said.
        listen
            Subscribes to bars where that has not begun: no price, no fill.
        """
        self._since = time.monotonic()
        try:
            listen()
            self._tell(reason.replace("_", " "), why)
        finally:
            self._strategy.flatten(reason)
        _LOG.warning("closing positions", reason=reason, why=why)

    def is_done(self) -> bool:
        """Whether nothing is open any more."""
        return self._strategy.is_flat()

    def overdue(self) -> str | None:
        """What is still open long after closing began."""
        if self._since is None or time.monotonic() - self._since <= _CLOSE_S:
            return None
        return f"positions are still open after {_CLOSE_S:.0f} s: {', '.join(self._strategy.open_trades)}"
