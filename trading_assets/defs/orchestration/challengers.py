"""A challenger that has shown enough in shadow is promoted, where a project sets the rule; off by default."""

from collections.abc import Iterator

import dagster as dg

from trading_assets.defs.lib import versions
from trading_assets.defs.orchestration.jobs import promote
from trading_assets.registry import read_manifest
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CHALLENGERS


@dg.asset_sensor(
    asset_key=dg.AssetKey(CHALLENGERS.name),
    job=promote,
    name="challenger_promotion",
    description="Where `promotion.challenger_days` is set: a challenger that is better than the champion after so many "
    "days in shadow is promoted.",
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
    from trading_assets.backtest.challengers import to_promote

    named = read_manifest(settings.live_dir).challengers
    due = {
        model: (version, why)
        for model, (version, why) in to_promote(store.read(CHALLENGERS), settings.promotion).items()
        if any(one.version == version for one in named.get(model, ()))
    }
    if not due:
        yield dg.SkipReason("no challenger has shown enough yet")
    for model, (version, why) in due.items():
        yield _promotion(model, version, why)


def _promotion(model: str, version: int, why: str) -> dg.RunRequest:
    """A run of `promote` for a version: by the run's tag, or where the job takes them, by its version and reason."""
    key, tag = f"{model}@{version}", getattr(versions, "VERSION_TAG", None)
    if tag is not None:
        return dg.RunRequest(run_key=key, partition_key=model, tags={tag: str(version)})
    config = {"ops": {"deployment": {"config": {"version": version, "reason": why}}}}
    return dg.RunRequest(run_key=key, partition_key=model, run_config=config)
