"""The instance that the UI shows, as the command line opens it: its runs belong to the UI's code location."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import dagster as dg

from trading_assets.defs.lib.causes import USER_TAG
from trading_assets.defs.lib.dagster_internals import (
    InstanceRef,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    location_origins_from_yaml_paths,
)
from trading_assets.defs.lib.partitions import LAUNCHED_BY_TAG
from trading_assets.registry.events import this_user
from trading_assets.settings import PROJECT_ROOT, Settings
from trading_assets.settings.dagster_home import (
    HOME_VARIABLE,
    POSTGRES_VARIABLE,
    STORAGE_VARIABLE,
    dagster_environment,
    opening,
)

WORKSPACE: Final = PROJECT_ROOT / "workspace.yaml"
_OURS, _PROCESS = "trading", "process"
_NO_CAPTURE: Final = {
    "compute_logs": {
        "module": "dagster.core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
"""Capturing would take the terminal away from the progress bars, and start four helper processes per run."""


class CommandLineInstance(dg.DagsterInstance):
    """Dagster's instance, whose runs name the code location that the UI has loaded.

    A run inside a process has no such origin by itself. The timeline, the jobs' pages and the sensors that watch runs
    pass over runs without one.
    """

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """No settings of its own; Dagster asks."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Those of every instance."""
        return InstanceRef.config_defaults(base_dir)

    def create_run_for_job(self, job_def: dg.JobDefinition, *args: Any, **options: Any) -> dg.DagsterRun:
        """Record a run as one of the UI's job of that name."""
        return super().create_run_for_job(
            job_def, *args, **{"remote_job_origin": RemoteJobOrigin(_repository(), job_def.name), **options}
        )


@lru_cache(maxsize=1)
def _repository() -> RemoteRepositoryOrigin:
    """What ``workspace.yaml`` names: the one location, and the one repository that its definitions make."""
    (location,) = location_origins_from_yaml_paths([str(WORKSPACE)])
    return RemoteRepositoryOrigin(location, dg.Definitions().get_repository_def().name)


def run_tags() -> dict[str, str]:
    """The tags of a run inside this process: where it runs and for whom, and that the daemon does not repeat it."""
    process = f"{socket.gethostname()}:{os.getpid()}"
    return {LAUNCHED_BY_TAG: _OURS, _PROCESS: process, USER_TAG: this_user(), "dagster/max_retries": "0"}


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the UI shows; kept open for the life of the process."""
    environment = dagster_environment(settings)
    with opening(settings, environment):
        instance = _instance(environment[HOME_VARIABLE], environment[STORAGE_VARIABLE])
    _bury_killed_runs(instance)
    return instance


@lru_cache(maxsize=4)
def _instance(home: str, storage: str) -> dg.DagsterInstance:
    ours = {"module": CommandLineInstance.__module__, "class": CommandLineInstance.__name__}
    overrides: dict[str, Any] = {**_NO_CAPTURE, "instance_class": ours}
    if os.environ.get(POSTGRES_VARIABLE):
        return dg.DagsterInstance.from_ref(InstanceRef.from_dir(home, overrides=overrides))
    from trading_assets.launch.sqlite_files import held_storage, made_at_once

    overrides["storage"] = held_storage(Path(storage))
    with made_at_once(Path(storage)):
        instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(home, overrides=overrides))
        assert instance.event_log_storage is not None  # the storages are opened when they are first asked for
    return instance


def _bury_killed_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs as failed whose process is gone: nothing else would, and the UI would show them as running.

    A run that the UI repeats has the tags of the first one, but another process does it.
    """
    for run in instance.get_runs(dg.RunsFilter(tags={LAUNCHED_BY_TAG: _OURS}, statuses=[dg.DagsterRunStatus.STARTED])):
        host, _, pid = run.tags.get(_PROCESS, "").rpartition(":")
        if run.parent_run_id is None and host == socket.gethostname() and not _alive(int(pid)):
            instance.report_run_failed(run, "the process of this run was killed; what it wrote is whole, run it again")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
