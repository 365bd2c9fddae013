"""Takes alerts and sees to it that they are sent: at once in a process that may wait, else in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from trading_assets.alerts.alert import Alert
from trading_assets.alerts.decision import decide, settle
from trading_assets.alerts.sending import Outcomes, prepare, send_all
from trading_assets.alerts.state import AlertState, Delivery
from trading_assets.alerts.state_file import StateFile
from trading_assets.core.clock import Clock, utc_now
from trading_assets.settings import AlertSettings, Settings

NOT_SENT: Final = "alert not sent"
"""The node event that tells of a message that no channel took; no alert is made of it."""

_LOG: Final = logging.getLogger("trading.alerts")
_EVERY_S: Final = 1.0
_PATIENCE_S: Final = 3.0
"""So long the end of a process waits. What was decided stands in the state, and the next process sends it."""

Send = Callable[[Sequence[Delivery], AlertSettings], Outcomes]

_desks: Final[dict[Path, Desk]] = {}
"""Data folder -> the desk of this process, which sends in a thread of its own."""


def send(settings: Settings, *alerts: Alert) -> None:
    """Tell people, by what the section `alerts` says.

    Where this process has a desk, the desk's thread does it, and this returns at once. Else it is done here, within
    some ``alerts.timeout_s`` for each message; what fails is tried again by whichever process looks next. Nothing
    raises.
    """
    if not settings.alerts.channels:
        return
    if (desk := _desks.get(settings.data_dir)) is not None:
        for alert in alerts:
            desk.take(alert)
        return
    try:
        deliver(alerts, settings.alerts, StateFile(settings.data_dir))
    except Exception:
        _LOG.exception("alerts")


def deliver(
    alerts: Sequence[Alert],
    settings: AlertSettings,
    file: StateFile,
    *,
    now: Clock = utc_now,
    send: Send = send_all,
    tell: Callable[[str, str], None] | None = None,
) -> None:
    """Decide on alerts, send what is due, and take note of what became of it, until nothing is due.

    Parameters
    ----------
    alerts
        What happened; nothing of it is needed for what is due by the time.
    settings, file
        Channels, and the state.
    now, send
        The clock, and who sends.
    tell
        (event, detail) of each message that was not sent; the log has it in any case.
    """
    ready = file.change(lambda state: _decided(alerts, state, settings, now))
    while ready:
        outcomes = send(ready, settings)
        for one in ready:
            if (failure := outcomes.get(one.number)) is not None:
                detail = f"channel {one.channel}: {failure}; it says: {one.title}"
                _LOG.error("%s: %s", NOT_SENT, detail)
                if tell is not None:
                    tell(NOT_SENT, detail)
        ready = file.change(partial(_settled, ready, outcomes, settings, now))


def _decided(
    alerts: Sequence[Alert], state: AlertState, settings: AlertSettings, now: Clock
) -> tuple[list[Delivery], AlertState]:
    found: list[Delivery] = []
    for alert in alerts or (None,):
        ready, state = decide(alert, state, settings, now())
        found += ready
    return found, state


def _settled(
    sent: Sequence[Delivery], outcomes: Outcomes, settings: AlertSettings, now: Clock, state: AlertState
) -> tuple[list[Delivery], AlertState]:
    for one in sent:
        state = settle(one, outcomes.get(one.number, "it was not sent"), state, settings, now())
    return _decided((), state, settings, now)


class Desk:
    """Sends in a thread of its own: who tells it something never waits, and never sees an error.

    Parameters
    ----------
    settings
        Channels and limits; the data folder with the state.
    now, send
        The clock, and who sends.
    """

    def __init__(self, settings: Settings, *, now: Clock = utc_now, send: Send = send_all) -> None:
        self._settings = settings
        self._now, self._send = now, send
        self._file = StateFile(settings.data_dir)
        self._taken: SimpleQueue[Alert | None] = SimpleQueue()
        self._notes: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="alerts", daemon=True)

    def take(self, alert: Alert) -> None:
        """Take an alert; returns at once."""
        self._taken.put(alert)

    def notes(self) -> Iterator[tuple[str, str]]:
        """Event and detail of what was not sent, since the last time: for the journal of whoever asks."""
        with suppress(Empty):
            while True:
                yield self._notes.get_nowait()

    @contextmanager
    def open(self) -> Iterator[Desk]:
        """Send within a block; at its end, what was taken until then gets a few seconds more."""
        _desks[self._settings.data_dir] = self
        self._thread.start()
        try:
            yield self
        finally:
            _desks.pop(self._settings.data_dir, None)
            self._taken.put(None)
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        prepare(self._settings.alerts)
        going = True
        while going:
            alerts: list[Alert] = []
            with suppress(Empty):
                alert = self._taken.get(timeout=_EVERY_S)
                while True:
                    if alert is None:
                        going = False
                    else:
                        alerts.append(alert)
                    alert = self._taken.get_nowait()
            try:
                deliver(
                    alerts,
                    self._settings.alerts,
                    self._file,
                    now=self._now,
                    send=self._send,
                    tell=lambda event, detail: self._notes.put((event, detail)),
                )
            except Exception:
                _LOG.exception("alerts")
