"""Ctrl-C while runs go on: what was written stays, and the runs end as canceled, not as failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import dagster as dg

from trading_assets.launch.instance import run_tags

_INTERRUPT: Final = "INTERRUPT"
"""The source of an error that an interrupt was."""
_UNEXPECTED_TERMINATION: Final = "UNEXPECTED_TERMINATION"
"""Why a run failed that an interrupt ended outside of its steps."""


def canceling(instance: dg.DagsterInstance) -> Callable[[dg.EventLogEntry], None]:
    """A listener that asks for a run's end as soon as an interrupt has ended one of its steps.

    Dagster then records the run as canceled. Unasked, it takes an interrupt for a failure.
    """

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or not event.is_step_failure:
            return
        run = instance.get_run_by_id(entry.run_id)
        if _says(event.step_failure_data.error_source, _INTERRUPT) and run is not None:
            instance.report_run_canceling(run, "stopped by the user")

    return listen


def refuse_stopped(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    """Raise ``KeyboardInterrupt`` if an interrupt has ended the run, and see that it is recorded as canceled."""
    if not any(_is_stop(event) for event in result.all_events):
        return
    run = instance.get_run_by_id(result.run_id)
    if run is not None and run.status is not dg.DagsterRunStatus.CANCELED:
        instance.report_run_canceled(run, "stopped by the user")
    raise KeyboardInterrupt


def cancel_left(instance: dg.DagsterInstance) -> None:
    """Record runs of this process that did not listen to an interrupt as canceled: they end with the process."""
    unfinished = dg.RunsFilter(tags=run_tags(), statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    for run in instance.get_runs(unfinished):
        instance.report_run_canceled(run, "stopped by the user")


def _is_stop(event: dg.DagsterEvent) -> bool:
    if event.is_step_failure:
        return _says(event.step_failure_data.error_source, _INTERRUPT)
    if event.event_type is dg.DagsterEventType.RUN_FAILURE:
        return _says(event.job_failure_data.failure_reason, _UNEXPECTED_TERMINATION)
    return event.event_type is dg.DagsterEventType.RUN_CANCELED


def _says(member: Any, value: str) -> bool:
    """Whether a member of one of Dagster's enumerations, which have no public names, has a value."""
    return member is not None and member.value == value
