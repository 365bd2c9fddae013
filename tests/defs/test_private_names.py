"""Dagster's private names: one module has them."""

from __future__ import annotations

import re
from uuid import uuid4

import dagster as dg
import pytest

from trading_assets.launch.stopping import canceling, refuse_stopped
from trading_assets.settings import PROJECT_ROOT

HOLDER = "trading_assets/defs/lib/dagster_internals.py"
PRIVATE = re.compile(r"\bdagster\w*(?:\.\w+)*\._[a-z]")


def test_private_names_of_dagster_stand_in_one_module() -> None:
    folders = ("trading_assets", "trading_live", "trading_cli", "benchmarks", "deploy")
    files = [
        file for folder in folders for file in (PROJECT_ROOT / folder).rglob("*") if file.suffix in (".py", ".yaml")
    ]
    found = [
        f"{file.relative_to(PROJECT_ROOT)}:{number}"
        for file in [*files, PROJECT_ROOT / "dagster.yaml", PROJECT_ROOT / "workspace.yaml"]
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if PRIVATE.search(line) and file != PROJECT_ROOT / HOLDER
    ]
    assert found == []


@dg.op
def interrupted() -> None:
    raise KeyboardInterrupt


@dg.op
def broken() -> None:
    raise ValueError


@dg.job
def stopped_job() -> None:
    interrupted()


@dg.job
def broken_job() -> None:
    broken()


def test_an_interrupt_cancels_a_run_and_an_error_fails_it() -> None:
    instance = dg.DagsterInstance.ephemeral()
    run_id = str(uuid4())
    instance.add_event_listener(run_id, canceling(instance))
    result = stopped_job.execute_in_process(instance=instance, raise_on_error=False, run_id=run_id)
    with pytest.raises(KeyboardInterrupt):
        refuse_stopped(instance, result)
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.CANCELED

    failed = broken_job.execute_in_process(instance=instance, raise_on_error=False)
    refuse_stopped(instance, failed)
    assert not failed.success
