"""A model that drifts is trained again: off until switched on in the UI, since it may retrain at any hour."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from trading_assets.defs.lib.versions import newest
from trading_assets.defs.monitoring.drift import ALARMED, NEWEST_DAY
from trading_assets.defs.orchestration.jobs import retrain
from trading_assets.settings import Settings
from trading_assets.store.tables import DRIFT


@dg.sensor(
    job=retrain,
    name="retrain_on_drift",
    description="The newest day of a model alarms: starts the job retrain for it, once, and not again within "
    "`drift.retrain_pause_days`. What it trains goes live only as any candidate does.",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.STOPPED,
)
def retrain_on_drift(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Retrain each model whose newest look at drift alarms, where no other retraining was asked for lately."""
    now, pause = datetime.now(UTC), timedelta(days=settings.drift.retrain_pause_days)
    asked: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    requested = []
    for model in settings.models:
        look = newest(context.instance, DRIFT.name, model)
        if look is None or not look.metadata[ALARMED]:
            continue
        if model in asked and now - datetime.fromisoformat(asked[model]) < pause:
            continue
        asked[model] = now.isoformat()
        requested.append(model)
        yield dg.RunRequest(
            run_key=f"{model}-v{look.version}@{look.metadata[NEWEST_DAY]}",
            partition_key=model,
            tags={"trading/drift": f"version {look.version} on {look.metadata[NEWEST_DAY]}"},
        )
    if requested:
        context.update_cursor(json.dumps(asked))
    else:
        yield dg.SkipReason("no model drifts, or those that do were retrained for it lately")
