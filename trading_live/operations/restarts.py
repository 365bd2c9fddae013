"""A process beside the node that starts it again when it died: no exception tells of a panic in the engine."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import structlog

from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, NODE, Journal
from trading_assets.settings import NodeSettings, Settings

_LOG: Final = structlog.get_logger(__name__)
_FINAL: Final = (0, 2)
"""Ended in order; ended for a reason that another start does not mend."""

_STOP_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 60.0
_WINDOW_S: Final = 3600.0
_PARENT_DEATH_SIGNAL: Final = 1

Pause = Callable[[float], bool]
"""Waits so many seconds; True if it was told to stop meanwhile."""


class Restarts:
    """How often a process may die, and how long to wait each time. No clock of its own.

    Parameters
    ----------
    limit
        Deaths within an hour; one more, and it is given up.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._deaths: deque[float] = deque()

    @property
    def count(self) -> int:
        """Deaths of the last hour."""
        return len(self._deaths)

    def pause_s(self, now_s: float) -> float | None:
        """Seconds to wait after a death now: 1, 2, 4 ... 60; None where it is given up."""
        self._deaths.append(now_s)
        while self._deaths[0] <= now_s - _WINDOW_S:
            self._deaths.popleft()
        if self.count > self.limit:
            return None
        return float(min(2.0 ** (self.count - 1), _LONGEST_PAUSE_S))


_KILLED: Final = 128 + signal.SIGKILL
"""What a shell says of a killed program."""


def supervise(settings: Settings, command: Sequence[str]) -> int:
    """Run the node as a child process, and again after it died; SIGINT and SIGTERM end both in order.

    Parameters
    ----------
    settings
        ``node.restarts_per_hour``, and the folder in whose journal each death is told.
    command
        The node's command line.

    Returns
    -------
    int
        The node's exit code: 0 after an end in order, 2 where another start would not help, 137 where it did not end
        when asked and was killed.

    Raises
    ------
    NodeError
        If it died too often.
    """
    restarts = Restarts(settings.node.restarts_per_hour)
    with _Interrupts() as interrupts, told_of(settings):
        while True:
            code = _run(command, interrupts)
            if code in _FINAL or interrupts.asked.is_set():
                return _KILLED if code == -signal.SIGKILL else max(code, 0)
            pause = restarts.pause_s(time.monotonic())
            again = "given up" if pause is None else f"death {restarts.count} of {restarts.limit} within an hour"
            rest = "" if pause is None else f", started again in {pause:g} s"
            _tell(settings, f"{_ending(code)}; {again}{rest}", given_up=pause is None)
            if pause is None:
                raise NodeError(
                    f"the node died {restarts.count} times within an hour, last by {_ending(code)}",
                    where=str(settings.live_dir),
                    remedy="see data/logs and the journal's node events; mend the cause, then start it again",
                )
            if interrupts.asked.wait(pause):
                return 0


class _Interrupts:
    """SIGINT and SIGTERM: passed on to the child, which ends in order."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.child: subprocess.Popen[bytes] | None = None
        self._former: dict[int, object] = {}

    def __enter__(self) -> _Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _pass_on(self, _number: int, _frame: object) -> None:
        self.asked.set()
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                self.child.send_signal(signal.SIGTERM)


def _run(command: Sequence[str], interrupts: _Interrupts) -> int:
    child = interrupts.child = subprocess.Popen(command, start_new_session=True, preexec_fn=_die_with_parent)
    if interrupts.asked.is_set():  # it came between two children
        child.send_signal(signal.SIGTERM)
    deadline: float | None = None
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(1.0)
        if interrupts.asked.is_set():
            deadline = deadline or time.monotonic() + _STOP_S
            if time.monotonic() > deadline:
                child.kill()


def _die_with_parent() -> None:
    """Let the system end the node in order if this process is killed; where it cannot, the node runs on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


@contextmanager
def told_of(settings: Settings) -> Iterator[None]:
    """Tell people of the node from this process, too, within a block: in threads, so that no start waits for it."""
    if not settings.alerts.channels:
        yield
        return
    from trading_assets.alerts.desk import Desk
    from trading_assets.alerts.watch import watching
    from trading_live.operations import alerts  # a source of alerts

    _LOG.info("alerts", source=alerts.HealthSource.name, every_s=settings.alerts.look_s)
    with Desk(settings).open(), watching(settings):
        yield


def _tell(settings: Settings, detail: str, *, given_up: bool) -> None:
    """Into log and journal, and to people; what fails of it must not keep the node from its next start."""
    _LOG.error("node died", detail=detail)
    if settings.alerts.channels:
        from trading_assets.alerts import Alert, Level
        from trading_assets.alerts.desk import send

        level, remedy = Level.CRITICAL if given_up else Level.WARNING, "see data/logs and the journal's node events"
        send(settings, Alert(level, f"the node died: {detail}", str(settings.live_dir), remedy, "node/died"))
    with contextlib.suppress(NodeError, OSError):
        journal = Journal(settings.live_dir / JOURNAL_FILE, node_name(settings.node))
        try:
            journal.record(NODE, {"ts": datetime.now(UTC), "event": "died", "detail": detail})
        finally:
            journal.close()


def node_name(node: NodeSettings) -> str:
    """What a new journal calls its node."""
    return f"{node.mode}-{node.environment}"
