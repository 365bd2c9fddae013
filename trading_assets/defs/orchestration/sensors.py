"""What runs because something happened: approvals are promoted, the journal is loaded, failures are told."""

import logging
from collections.abc import Iterator

import dagster as dg

from trading_assets.alerts.desk import send
from trading_assets.defs.lib.failures import failure_reason
from trading_assets.defs.lib.other_months import months_left
from trading_assets.defs.lib.partitions import FIRST_DAY_TAG, LAST_DAY_TAG, PARTITION_TAG, RANGE_START_TAG, range_tags
from trading_assets.defs.lib.versions import Materialized, newest
from trading_assets.defs.orchestration.alerts import alert_of_run
from trading_assets.defs.orchestration.jobs import assets_asked, load_journal, market_data, promote
from trading_assets.journal import JOURNAL_FILE, cursor
from trading_assets.registry import read_manifest
from trading_assets.settings import Settings

ALERTS = logging.getLogger("trading.alerts")


def pending_promotions(instance: dg.DagsterInstance, settings: Settings) -> dict[str, Materialized]:
    """Models with an approval newer than their deployment, of another bundle than the node has, and that approval."""
    live = read_manifest(settings.live_dir).models
    pending = {}
    for model in settings.models:
        approval, deployment = newest(instance, "approved", model), newest(instance, "deployment", model)
        if approval is None or (deployment is not None and deployment.storage_id > approval.storage_id):
            continue
        if model not in live or live[model].bundle_hash != approval.metadata["bundle_hash"]:
            pending[model] = approval
    return {model: approval for model, approval in pending.items() if not _rejected(settings, model, approval)}


def _rejected(settings: Settings, model: str, approval: Materialized) -> bool:
    from trading_assets.registry import Registry

    found = [known for known in Registry(settings).list(model) if known.version == approval.version]
    return any(known.status == "rejected" for known in found)


@dg.asset_sensor(
    asset_key=dg.AssetKey("approved"),
    job=promote,
    name="promotion",
    description="A newly approved version becomes the active one: starts the job promote for its model.",
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
    description="The node has journalled something new: starts the job load_journal.",
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
    name="run_failure_alert",
    description="Tells of each failed run, the command line's too, in the log and by the alert channels of the "
    "settings: what failed, and where to look.",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def run_failure_alert(context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """Tell of each failed run: what failed and where to look."""
    run = context.dagster_run
    reasons = [
        f"{event.step_key}: {failure_reason(event) or 'a blocking check failed, see the asset checks of the run'}"
        for event in context.get_step_failure_events()
    ]
    reason = "; ".join(reasons) or context.failure_event.message or "no step failed: see the run's log"
    partition = run.tags.get(PARTITION_TAG) or run.tags.get(RANGE_START_TAG, "")
    message = f"run {run.run_id} of {run.job_name} {partition} failed: {reason}"
    ALERTS.error(message)
    context.log.error(message)
    send(settings, alert_of_run(run.job_name, partition, message))


@dg.run_failure_sensor(
    name="other_months",
    description="A run over a range of months stopped at some of them: starts runs of the others.",
    request_job=market_data,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def other_months(
    context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Repeat a failed run for the months that nothing is wrong with, each contiguous range of a market in one run."""
    run = context.dagster_run
    assets, left = assets_asked(context.instance, run, settings), months_left(context.instance, run, settings)
    if not (assets and left):
        yield dg.SkipReason(f"run {run.run_id} leaves no other month to do")
        return
    kept = {tag: run.tags[tag] for tag in (FIRST_DAY_TAG, LAST_DAY_TAG) if tag in run.tags}
    for window in left:
        tags = range_tags(window.keys[0], window.keys[-1]) | kept | {"market": window.market, "after_run": run.run_id}
        yield dg.RunRequest(run_key=f"{run.run_id}:{window.keys[0]}", tags=tags, asset_selection=assets)
