"""What this project takes from Dagster that has no public name: all of it, and nothing outside of this module.

Dagster's version is pinned exactly; on a new one this is the page to read. A test refuses private names elsewhere.

- ``LocalComputeLogManager``, ``ConfigurableClassData``: log managers and storages are made to be replaced in
  ``dagster.yaml``, but what one derives from is public for none of them.
- ``SqliteRunStorage``, ``SqliteEventLogStorage``, ``SqliteScheduleStorage``, ``CompositeStorage`` and
  ``INDEX_SHARD_NAME``: the storages of the command line are Dagster's own with other connections, so that the UI reads
  their files.
- ``InstanceRef``: an instance whose settings differ in one point from those of ``dagster.yaml``; the public
  ``DagsterInstance.get`` takes the file as it is.
- ``RemoteJobOrigin``, ``RemoteRepositoryOrigin`` and ``location_origins_from_yaml_paths``: by them the UI recognises a
  run as one of its code location's; a run inside a process has no origin of its own.
"""

from __future__ import annotations

from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.legacy_storage import CompositeStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._serdes import ConfigurableClassData

__all__ = [
    "INDEX_SHARD_NAME",
    "CompositeStorage",
    "ConfigurableClassData",
    "InstanceRef",
    "LocalComputeLogManager",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "location_origins_from_yaml_paths",
]
