"""What Dagster's instance says of runs, assets, partitions, checks and daemons, as numbers."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from trading_assets.journal import JOURNAL_FILE, cursor
from trading_assets.monitoring.exported import catalogue as m
from trading_assets.monitoring.exported.page import Page
from trading_assets.settings import Settings
from trading_assets.settings.dagster_home import POSTGRES_VARIABLE, dagster_environment, opening
from trading_assets.store.tables import POSITIONS

REMEMBERED: Final = timedelta(days=30)
"""Runs that ended before say nothing any more."""

_DAY: Final = timedelta(days=1)
_MOST_RUNS: Final = 5_000
_UNFINISHED: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_CANCELED: Final = dg.DagsterRunStatus.CANCELED


def read_project(
    page: Page, now: datetime, *, settings: Settings, definitions: Callable[[Settings], dg.Definitions]
) -> None:
    """Open the project's instance and read it; nothing is told where no run has ever been.

    Parameters
    ----------
    page
        Written to.
    now
        Runs count from here backwards.
    settings
        Of the project.
    definitions
        Makes its code location.
    """
    environment = dagster_environment(settings)
    if POSTGRES_VARIABLE not in environment and not (settings.data_dir / "dagster" / "history").exists():
        return
    with opening(settings, environment), dg.DagsterInstance.get() as instance:
        read_runs(page, instance, now)
        read_assets(page, instance, definitions(settings), settings)
        read_journal(page, instance, settings)


def read_journal(page: Page, instance: dg.DagsterInstance, settings: Settings) -> None:
    """Whether the node's journal has been brought into the tables; nothing is told where there is none."""
    position = cursor(settings.live_dir / JOURNAL_FILE)
    if position:
        loaded = instance.get_latest_materialization_event(dg.AssetKey(POSITIONS.name))
        known = (
            None if loaded is None or loaded.asset_materialization is None else loaded.asset_materialization.metadata
        )
        page.set(m.JOURNAL_BEHIND, known is None or known["journal_cursor"].value != position)


def read_runs(page: Page, instance: dg.DagsterInstance, now: datetime) -> None:
    """Runs by job, and the daemons' heartbeats."""
    records = instance.get_run_records(dg.RunsFilter(created_after=now - REMEMBERED), limit=_MOST_RUNS)
    _unfinished(page, records, now)
    recent = Counter(
        (one.dagster_run.job_name, one.dagster_run.status.value.lower())
        for one in records
        if _utc(one.create_timestamp) >= now - _DAY
    )
    for (job, status), count in sorted(recent.items()):
        page.set(m.RUNS, count, job, status)
    ended = [one for one in records if one.end_time is not None and one.dagster_run.status is not _CANCELED]
    for one in sorted(ended, key=lambda record: record.end_time or 0.0):
        job, success = one.dagster_run.job_name, one.dagster_run.status is dg.DagsterRunStatus.SUCCESS
        page.set(m.RUN_SUCCESS if success else m.RUN_FAILURE, one.end_time, job)
        if one.start_time is not None and one.end_time is not None:
            page.set(m.RUN_DURATION, one.end_time - one.start_time, job)
    for daemon, beat in instance.get_daemon_heartbeats().items():
        page.set(m.DAEMON, beat.timestamp, daemon.lower())


def _unfinished(page: Page, records: Sequence[dg.RunRecord], now: datetime) -> None:
    oldest = dict.fromkeys((one.dagster_run.job_name for one in records), now)
    for one in records:
        if one.dagster_run.status in _UNFINISHED:
            job = one.dagster_run.job_name
            oldest[job] = min(oldest[job], _utc(one.create_timestamp))
    for job, begun in oldest.items():
        page.set(m.UNFINISHED, (now - begun).total_seconds(), job)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def read_assets(page: Page, instance: dg.DagsterInstance, definitions: dg.Definitions, settings: Settings) -> None:
    """When assets were written, which of their partitions are missing, and what their checks said last."""
    graph = definitions.resolve_asset_graph()
    records = {one.asset_entry.asset_key: one.asset_entry for one in instance.get_asset_records()}
    limit = settings.schedules.stale_after_hours * 3600 if settings.history.end is None else None
    for key in sorted(graph.executable_asset_keys):
        node, name = graph.get(key), key.to_user_string()
        entry = records.get(key)
        if entry is not None and entry.last_materialization_record is not None:
            page.set(m.MATERIALIZED, entry.last_materialization_record.timestamp, name)
        if node.freshness_policy is not None:
            page.set(m.ASSET_LIMIT, limit, name)
        if node.partitions_def is not None:
            wanted = set(node.partitions_def.get_partition_keys())
            there = len(wanted & set(instance.get_materialized_partitions(key)))
            page.set(m.PARTITIONS, there, name, "materialized")
            page.set(m.PARTITIONS, len(wanted) - there, name, "missing")
    read_checks(page, instance, list(graph.asset_check_keys))


def read_checks(page: Page, instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]) -> None:
    """The newest evaluation of each check."""
    for key, summary in instance.event_log_storage.get_asset_check_summary_records(keys).items():
        record = summary.last_completed_check_execution_record
        event = None if record is None or record.event is None else record.event.dagster_event
        if record is None or event is None:
            continue
        asset, found = key.asset_key.to_user_string(), event.asset_check_evaluation_data
        page.set(m.CHECK_PASSED, found.passed, asset, key.name, found.severity.value.lower())
        page.set(m.CHECK_AT, record.create_timestamp, asset, key.name)
