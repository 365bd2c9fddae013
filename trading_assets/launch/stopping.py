"""Ctrl-C while runs go on: what was written stays, and the runs end as canceled, not as failed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import dagster as dg

from trading_assets.launch.instance import run_tags

_INTERRUPT: Final = "INTERRUPT"
"""The source of an error that an interrupt was."""
_UNEXPECTED_TERMINATION: Final = "UNEXPECTED_TERMINATION"
"""Why a run failed that an interrupt ended outside of its steps."""
_STOPPED: Final = "stopped by the user"
_STOPS: Final = frozenset({signal.SIGINT, signal.SIGTERM})
_MOST: Final = 4096


class Interrupts:
    """Whether the user has asked this process to stop, whatever became of the exception that says so.

    Dagster raises it wherever the program is. Code that takes any exception for a wrong type (conversions between
    Python and Rust) turns it into an error of its own, or swallows it.
    """

    def __init__(self, reader: int | None = None) -> None:
        self._reader = reader
        self._received = False

    @property
    def received(self) -> bool:
        """Whether one has come by now."""
        with suppress(BlockingIOError):
            if self._reader is not None and not _STOPS.isdisjoint(os.read(self._reader, _MOST)):
                self._received = True
        return self._received

    def end(self) -> None:
        """Listen no more; what has come is known."""
        reader, self._received, self._reader = self._reader, self.received, None
        if reader is not None:
            os.close(reader)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Note the interrupts that come in the block; only the main thread receives any."""
    if threading.current_thread() is not threading.main_thread():
        yield Interrupts()
        return
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    former, noted = signal.set_wakeup_fd(writer, warn_on_full_buffer=False), Interrupts(reader)
    try:
        yield noted
    finally:
        signal.set_wakeup_fd(former)
        os.close(writer)
        noted.end()


def canceling(instance: dg.DagsterInstance, noted: Interrupts | None = None) -> Callable[[dg.EventLogEntry], None]:
    """A listener that asks for a run's end as soon as an interrupt has ended one of its steps.

    Dagster then records the run as canceled. Unasked, it takes an interrupt for a failure. An interrupt that was
    ``noted`` although no step has ended by it was lost: it is sent again where another step begins.
    """

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or not (event.is_step_failure or event.is_step_start):
            return
        told = event.is_step_failure and _says(event.step_failure_data.error_source, _INTERRUPT)
        lost = not told and noted is not None and noted.received
        run = instance.get_run_by_id(entry.run_id) if told or lost else None
        if run is not None:
            instance.report_run_canceling(run, _STOPPED)
        if lost and event.is_step_start:
            signal.raise_signal(signal.SIGINT)

    return listen


def refuse_stopped(
    instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult, noted: Interrupts | None = None
) -> None:
    """Raise ``KeyboardInterrupt`` if an interrupt has come; a run that it ended is recorded as canceled."""
    stopped = any(_is_stop(event) for event in result.all_events)
    if not stopped and (noted is None or not noted.received):
        return
    run = instance.get_run_by_id(result.run_id)
    if run is not None and not result.success and run.status is not dg.DagsterRunStatus.CANCELED:
        instance.report_run_canceled(run, _STOPPED)
    raise KeyboardInterrupt


def cancel_left(instance: dg.DagsterInstance) -> None:
    """Record runs of this process that did not listen to an interrupt as canceled: they end with the process."""
    unfinished = dg.RunsFilter(tags=run_tags(), statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    for run in instance.get_runs(unfinished):
        instance.report_run_canceled(run, _STOPPED)


def _is_stop(event: dg.DagsterEvent) -> bool:
    if event.is_step_failure:
        return _says(event.step_failure_data.error_source, _INTERRUPT)
    if event.event_type is dg.DagsterEventType.RUN_FAILURE:
        return _says(event.job_failure_data.failure_reason, _UNEXPECTED_TERMINATION)
    return event.event_type is dg.DagsterEventType.RUN_CANCELED


def _says(member: Any, value: str) -> bool:
    """Whether a member of one of Dagster's enumerations, which have no public names, has a value."""
    return member is not None and member.value == value
