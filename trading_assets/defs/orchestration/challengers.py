"""A challenger that has shown enough in shadow is promoted, where a project sets the rule; off by default."""

from collections.abc import Iterator

import dagster as dg

from trading_assets.defs.orchestration.jobs import promote
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CHALLENGERS


@dg.asset_sensor(
    asset_key=dg.AssetKey(CHALLENGERS.name),
    job=promote,
    name="challenger_promotion",
    description="Where `promotion.challenger_days` is set: a challenger that is better than the champion after so many "
    "days and trades in shadow is promoted.",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def challenger_promotion(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the promotion of the best challenger of each model, if one has shown enough; once for each version."""
    if settings.promotion.challenger_days is None:
        yield dg.SkipReason("promotion.challenger_days is not set: challengers are promoted by hand")
        return
    from trading_assets.backtest.challengers import due_for_promotion

    due = due_for_promotion(settings, store)
    if not due:
        yield dg.SkipReason("no challenger has shown enough yet")
    for model, shown in due.items():
        config = {"ops": {"deployment": {"config": {"version": shown.version, "by_rule": True}}}}
        yield dg.RunRequest(run_key=f"{model}@{shown.version}", partition_key=model, run_config=config)
