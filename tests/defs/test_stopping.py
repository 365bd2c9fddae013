"""Ctrl-C while a run goes on: the run is canceled, whatever the code that it came upon made of it."""

from __future__ import annotations

import signal
import threading
from uuid import uuid4

import dagster as dg
import pytest

from trading_assets.launch.stopping import canceling, interrupts, refuse_stopped

STARTED: list[str] = []


def in_a_conversion(*, told: bool) -> None:
    """What an interrupt becomes in code that takes any exception for a wrong type."""
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        if told:
            raise TypeError("'str' object cannot be converted to 'PyDateTime'") from None
    else:
        raise AssertionError("no interrupt")


@dg.op
def interrupted() -> None:
    raise KeyboardInterrupt


@dg.op
def converted() -> None:
    in_a_conversion(told=True)


@dg.op
def swallowed() -> None:
    in_a_conversion(told=False)


@dg.op
def broken() -> None:
    raise ValueError


@dg.op
def then() -> None:
    STARTED.append("then")


@dg.job
def interrupted_job() -> None:
    interrupted()


@dg.job
def converted_job() -> None:
    converted()
    then()


@dg.job
def swallowed_job() -> None:
    swallowed()
    then()


@dg.job
def swallowed_last_job() -> None:
    swallowed()


@dg.job
def broken_job() -> None:
    broken()


@pytest.fixture(autouse=True)
def nothing_started() -> None:
    STARTED.clear()


def status_of(job: dg.JobDefinition) -> dg.DagsterRunStatus:
    """Run a job as a command does; how its run is recorded."""
    instance, run_id = dg.DagsterInstance.ephemeral(), str(uuid4())
    before = signal.getsignal(signal.SIGINT)
    try:
        with interrupts() as noted:
            instance.add_event_listener(run_id, canceling(instance, noted))
            result = job.execute_in_process(instance=instance, raise_on_error=False, run_id=run_id)
            refuse_stopped(instance, result, noted)
    finally:
        assert signal.getsignal(signal.SIGINT) is before
        (run,) = instance.get_runs()
        STARTED.append(run.status.value)
    return run.status


@pytest.mark.parametrize("job", [interrupted_job, converted_job, swallowed_job], ids=lambda job: job.name)
def test_an_interrupt_cancels_a_run_and_no_further_step_is_begun(job: dg.JobDefinition) -> None:
    with pytest.raises(KeyboardInterrupt):
        status_of(job)
    assert [dg.DagsterRunStatus.CANCELED.value] == STARTED


def test_an_interrupt_that_a_run_s_last_step_swallows_still_ends_the_program() -> None:
    with pytest.raises(KeyboardInterrupt):
        status_of(swallowed_last_job)
    assert [dg.DagsterRunStatus.SUCCESS.value] == STARTED, "nothing of it is undone"


def test_an_error_fails_a_run() -> None:
    assert status_of(broken_job) is dg.DagsterRunStatus.FAILURE


def test_an_interrupt_is_noted_in_the_main_thread_alone() -> None:
    noted: list[bool] = []

    def work() -> None:
        with interrupts() as here:
            noted.append(here.received)

    with interrupts() as here:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert not here.received
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert here.received
        assert here.received, "it stays so"
    assert noted == [False]
    with interrupts() as later:
        assert not later.received
