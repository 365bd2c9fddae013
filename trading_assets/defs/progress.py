"""What a run tells while it goes on, for progress bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import dagster as dg

from trading_assets.defs.failures import failure_reason

Kind = Literal["started", "finished", "failed", "materialized", "check", "log"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run.

    Attributes
    ----------
    kind
        ``started``, ``finished`` and ``failed`` are of a step, ``materialized`` and ``check`` of an asset.
    subject
        What the run is about: a market, a model, or the journal.
    step
        The step: the name of its asset or of its group of checks; empty for what belongs to no step.
    message
        For people.
    passed
        Whether a check passed; None for everything else.
    steps_done, steps_total
        How far the run is.
    """

    kind: Kind
    subject: str
    step: str
    message: str
    passed: bool | None
    steps_done: int
    steps_total: int


Listener = Callable[[Event], None]


class Translator:
    """Turns Dagster's event log entries into :class:`Event`."""

    def __init__(self, subject: str, steps: int, listener: Listener) -> None:
        self._subject, self._steps, self._listener, self._done = subject, steps, listener, 0

    def __call__(self, entry: dg.EventLogEntry) -> None:
        """Tell the listener what an entry means, if it means anything to people."""
        event = entry.dagster_event
        if event is None:
            self._tell("log", entry.step_key, entry.user_message)
        elif event.is_step_start:
            self._tell("started", event.step_key, event.message)
        elif event.is_step_success or event.is_step_failure:
            self._done += 1
            if event.is_step_success:
                self._tell("finished", event.step_key, event.message)
            else:
                self._tell("failed", event.step_key, failure_reason(event) or "a blocking check failed")
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._tell("materialized", event.step_key, f"{event.asset_key.to_user_string()} {event.partition or ''}")  # type: ignore[union-attr]
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            self._tell("check", event.step_key, f"{check.check_name}: {check.description or ''}", passed=check.passed)

    def _tell(self, kind: Kind, step: str | None, message: str | None, *, passed: bool | None = None) -> None:
        self._listener(Event(kind, self._subject, step or "", message or "", passed, self._done, self._steps))
