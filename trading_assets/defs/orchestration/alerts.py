"""What Dagster tells people: failed runs, failed checks, drift, and a node whose heartbeat has stopped."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from trading_assets.alerts import Alert, Level
from trading_assets.alerts.desk import send
from trading_assets.alerts.sources import known_sources, sources_of
from trading_assets.alerts.watch import watch_once
from trading_assets.defs.lib.check_states import passed_here
from trading_assets.settings import Settings
from trading_assets.store.tables import DRIFT

_EVERY_S: Final = 60


@dg.sensor(
    name="alert_watch",
    description="Tells people, by the settings' section `alerts`, of checks of severity ERROR that fail, of drift, and "
    "of a node whose heartbeat has stopped; sends what waits. Without channels it does nothing.",
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_watch(context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]) -> dg.SkipReason:
    """Look at the newest checks since the last tick, at the node's heartbeat, and at what is due by the time."""
    if not settings.alerts.channels:
        return dg.SkipReason("the settings name no alert channel")
    seen = int(context.cursor or 0)
    found = sorted(newest_checks(context), key=lambda one: one[0])
    alerts = [alert_of_check(check) for number, check in found if number > seen]
    send(settings, *(alert for alert in alerts if alert is not None))
    named = settings.alerts.sources or known_sources()
    wrong = watch_once(
        settings, sources_of(known) if (known := [one for one in named if one in known_sources()]) else []
    )
    if found:
        context.update_cursor(str(max(seen, found[-1][0])))
    return dg.SkipReason(f"{len(alerts)} new checks; wrong now: {'; '.join(one.what for one in wrong) or 'nothing'}")


def newest_checks(context: dg.SensorEvaluationContext) -> Iterator[tuple[int, dg.AssetCheckEvaluation]]:
    """The newest execution of each check of the code location, as far as it has ended, with its number."""
    repository = context.repository_def
    keys = [] if repository is None else sorted(repository.asset_graph.asset_check_keys)
    records = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for record in records.values():
        event = record.event.dagster_event if record.event is not None else None
        if event is not None and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            yield record.id, event.asset_check_evaluation_data


def alert_of_check(check: dg.AssetCheckEvaluation) -> Alert | None:
    """The alert that a check's result is, or the end of one; None for a warning, except of drift."""
    asset = check.asset_key.to_user_string()
    is_drift = asset == DRIFT.name
    key = f"drift/{check.check_name}" if is_drift else f"dagster/check/{asset}/{check.check_name}"
    said = f"{check.check_name} of {asset}"
    if check.passed or passed_here(check):
        return Alert(Level.INFO, f"check {said} passes", key=key, over=True)
    if check.severity is not dg.AssetCheckSeverity.ERROR and not is_drift:
        return None
    what = f"check {said} fails: {check.description or 'see its metadata'}"
    return Alert(Level.WARNING, what, remedy="see the asset's checks in the UI", key=key)


def alert_of_run(job: str, partition: str, message: str) -> Alert:
    """The alert that a failed run is; runs of one job and partition are one matter."""
    key = "/".join(one for one in ("dagster/run", job, partition) if one)
    return Alert(Level.WARNING, message, remedy="see the run in the UI, or data/logs", key=key)
