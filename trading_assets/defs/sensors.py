"""What runs because something happened: approvals are promoted, the journal is loaded, failures are told."""

import logging
from collections.abc import Iterator

import dagster as dg

from trading_assets.defs.jobs import load_journal, promote
from trading_assets.defs.partitions import PARTITION_TAG, RANGE_START_TAG
from trading_assets.defs.versions import Materialized, newest
from trading_assets.journal import JOURNAL_FILE, cursor
from trading_assets.settings import Settings

ALERTS = logging.getLogger("trading.alerts")


def pending_promotions(instance: dg.DagsterInstance, settings: Settings) -> dict[str, Materialized]:
    """Models whose newest approval is not deployed yet, with that approval."""
    pending = {}
    for model in settings.models:
        approved, deployed = newest(instance, "approved", model), newest(instance, "deployment", model)
        if approved is not None and (deployed is None or deployed.storage_id < approved.storage_id):
            pending[model] = approved
    return pending


@dg.asset_sensor(
    asset_key=dg.AssetKey("approved"),
    job=promote,
    name="promotion",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def promotion(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Promote what was approved; all models are looked at, since several approvals may fall between two ticks."""
    pending = pending_promotions(context.instance, settings)
    if not pending:
        yield dg.SkipReason("every approved version is deployed")
    for model, approval in pending.items():
        yield dg.RunRequest(run_key=f"{model}@{approval.storage_id}", partition_key=model)


@dg.sensor(
    job=load_journal,
    name="journal_ingest",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def journal_ingest(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Load the node's journal when it has grown since the newest load."""
    position = cursor(settings.live_dir / JOURNAL_FILE)
    loaded = context.instance.get_latest_materialization_event(dg.AssetKey("positions"))
    known = (
        loaded.asset_materialization.metadata.get("journal_cursor") if loaded and loaded.asset_materialization else None
    )
    if not position or position == context.cursor or (known is not None and known.value == position):
        yield dg.SkipReason("the node has journalled nothing new")
        return
    context.update_cursor(position)
    yield dg.RunRequest(run_key=f"journal@{position}")


@dg.run_failure_sensor(
    name="run_failure_alert", minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING
)
def run_failure_alert(context: dg.RunFailureSensorContext) -> None:
    """Log an alert for each failed run: what failed and where to look."""
    run = context.dagster_run
    reasons = [f"{event.step_key}: {_reason(event)}" for event in context.get_step_failure_events()]
    reason = "; ".join(reasons) or context.failure_event.message or "no step failed: see the run's log"
    partition = run.tags.get(PARTITION_TAG) or run.tags.get(RANGE_START_TAG, "")
    message = f"run {run.run_id} of {run.job_name} {partition} failed: {reason}"
    ALERTS.error(message)
    context.log.error(message)


def _reason(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    return error.message.strip() if error else "failed"
