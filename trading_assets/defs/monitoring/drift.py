"""Drift of the version that trades: each day since its training window against that window."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from trading_assets.defs.lib.check_results import selected
from trading_assets.defs.lib.check_states import PASSED_HERE, Judged, remember
from trading_assets.defs.lib.metadata import (
    RESEARCH_TEAM,
    asset_metadata,
    describe_frame,
    origin,
    origin_tags,
    picture,
    preview,
)
from trading_assets.defs.lib.partitions import ALL_PARTITIONS, Partitions, keys_of_run
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import DRIFT, FEATURES, LABELS, LIVE_FEATURES

ALARMED: Final = "alarmed"
"""The metadata that says about how many subjects the newest day alarms."""
NEWEST_DAY: Final = "newest_day"
CHECKS: Final = {
    "feature": "No feature is distributed otherwise than in the training window, beyond what its days vary by.",
    "prediction": "Nor are the probabilities, against those of the walk-forward.",
    "calibration": "Nor is what came less what was said.",
    "outcome": "Nor are the outcomes: how often the target came first, and the returns.",
}
_SAID: Final = 5


def drift_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        deps=[
            "deployment",
            dg.AssetDep(FEATURES.name, partition_mapping=ALL_PARTITIONS),
            dg.AssetDep(LABELS.name, partition_mapping=ALL_PARTITIONS),
            LIVE_FEATURES.name,
        ],
        group_name="monitoring",
        owners=[RESEARCH_TEAM],
        kinds={"polars", "duckdb"},
        tags=origin_tags(settings),
        metadata=asset_metadata(DRIFT),
        partitions_def=Partitions.of(settings).models,
    )(drift)


def drift(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """PSI, KS and ADWIN of features, predictions, calibration and outcomes against the training window, day by day."""
    from trading_assets.monitoring import stored, summary, versions
    from trading_assets.monitoring.coverage_gap import tell_coverage_gap

    name = context.partition_key
    bundle, version = versions.required(store, settings, name)
    found = stored.measure(store, settings, bundle, version)
    store.replace(DRIFT, found, where={"model": name, "version": version})
    gap = tell_coverage_gap(store, settings, name, version)
    today = summary.newest(found)
    shown = {"heat_map": picture(summary.heat_map(found, f"Drift of {name} {version}"), "drift by day")}
    return dg.MaterializeResult(
        metadata={
            **origin(bundle.markets),
            "version": version,
            "bundle_hash": bundle.bundle_hash,
            ALARMED: today.filter("alarmed").height,
            **({} if gap is None else {"coverage_gap_pct": gap}),
            NEWEST_DAY: str(today["ts"].max()) if today.height else "",
            **describe_frame(found, DRIFT),
            "worst": preview(summary.worst(today, 20).drop("model", "version"), rows=20),
            **(shown if found.height else {}),
        }
    )


@dg.multi_asset_check(
    name="drift_checks",
    specs=[dg.AssetCheckSpec(f"{kind}_drift", asset=DRIFT.name, description=text) for kind, text in CHECKS.items()],
    can_subset=True,
)
def drift_checks(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.AssetCheckResult]:
    """Look at the newest day of the run's model, or of every model, for alarms."""
    from trading_assets.monitoring import summary

    names = selected(context)
    found: dict[str, list[Judged]] = {name: [] for name in names}
    for model in keys_of_run(context.run.tags, Partitions.of(settings).models):
        rows = store.read(DRIFT, where={"model": model})
        alarms = summary.alarms_by_kind(rows.filter(version=rows["version"].max()) if rows.height else rows)
        for name in names:
            said = alarms[name.removesuffix("_drift")]
            more = f" and {len(said) - _SAID} more" if len(said) > _SAID else ""
            found[name].append(Judged(model, "; ".join(said[:_SAID]) + more))
    others = remember(store, context, DRIFT.name, found, known=settings.models)
    for name in names:
        bad = [f"{one.part}: {one.problem}" for one in found[name] if one.problem]
        elsewhere = [f"{model}: {problem}" for model, problem in others[name].items()]
        told = f". Other runs found: {'; '.join(elsewhere)}" if elsewhere else ""
        yield dg.AssetCheckResult(
            asset_key=DRIFT.name,
            check_name=name,
            passed=not bad and not elsewhere,
            severity=dg.AssetCheckSeverity.WARN,
            description=("; ".join(bad) or "no drift on the newest day") + told,
            metadata={PASSED_HERE: not bad, "drifting": bad, "drifting_elsewhere": elsewhere},
        )
