"""Deployment: an approved version becomes the active one, and the node's manifest is swapped."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
from pydantic import Field

from trading_assets.core.errors import ModelError
from trading_assets.defs.lib.causes import cause_of
from trading_assets.defs.lib.check_states import refused_by_checks
from trading_assets.defs.lib.metadata import TRADING_TEAM, asset_metadata, origin, origin_tags, preview
from trading_assets.defs.lib.partitions import Partitions
from trading_assets.defs.lib.versions import required
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import MODEL_EVENTS, MODEL_VERSIONS

if TYPE_CHECKING:
    from trading_assets.lifecycle import Outcome

GROUP = "deployment"


def approved_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        deps=["backtest", "candidate"],
        group_name=GROUP,
        owners=[TRADING_TEAM],
        kinds={"mlflow"},
        tags=origin_tags(settings),
        metadata=asset_metadata(MODEL_VERSIONS),
        partitions_def=Partitions.of(settings).models,
        output_required=False,
    )(approved)


def approved(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """The candidate whose gates all pass and that decides as the node will, with status approved in the registry.

    A refused one leaves nothing here: the checks of `backtest` are its verdict.
    """
    from trading_assets.backtest.approval import check_same_data, check_same_research, check_same_settings
    from trading_assets.backtest.stored import judge_again
    from trading_assets.models import certificates
    from trading_assets.registry import Registry

    name = context.partition_key
    trained = required(context.instance, "candidate", name)
    registry, version = Registry(settings), trained.version
    walked, traded = (required(context.instance, asset, name) for asset in ("walk_forward", "backtest"))
    check_same_data(name, walked=walked.metadata, trained=trained.metadata, traded=traded.metadata)
    if failed := [gate.text for gate in judge_again(store, settings, name, version) if not gate.passed]:
        if not (traded.run_id == context.run.run_id and refused_by_checks(store, "backtest", name)):
            raise ModelError("; ".join(failed), where=f"model {name}", remedy="see the checks on the asset backtest")
        context.log.warning(f"model {name} version {version} is refused: {'; '.join(failed)}")
        return
    known = registry.get(name, version)
    if known.status == "rejected":
        raise ModelError("it was rejected by hand", where=f"model {name} version {version}", remedy="train another one")
    held = check_same_settings(known, settings)
    check_same_research(held, settings, store, walked=walked.metadata, traded=traded.metadata)
    certificate = certificates.check(held)
    status: str = known.status
    if status == "draft":
        cause = cause_of(context.run, "every gate passed, and it decides as the node will")
        status = registry.set_status(name, version, "approved", cause).status
    registry.write_to(store)
    yield dg.MaterializeResult(
        metadata={
            "version": version,
            "status": status,
            "bundle_hash": trained.metadata["bundle_hash"],
            "parity": str(certificate),
            **origin(settings.models[name].markets),
        }
    )


def deployment_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        deps=["approved"],
        group_name=GROUP,
        owners=[TRADING_TEAM],
        kinds={"mlflow"},
        tags=origin_tags(settings),
        metadata=asset_metadata(MODEL_VERSIONS),
        partitions_def=Partitions.of(settings).models,
    )(deployment)


class DeploymentConfig(dg.Config):
    """What a run of `promote` or `rollback` may be told."""

    version: int | None = Field(None, description="Which; empty: the newest approved, or the one that traded before.")
    reason: str = Field("", description="Why. A promotion with a reason happens whatever the comparison says.")
    by_rule: bool = Field(False, description="Promote for what a challenger showed in shadow, if it still is enough.")
    rollback: bool = Field(False, description="Go back to a version that traded before, without a comparison.")


def deployment(
    context: dg.AssetExecutionContext,
    config: DeploymentConfig,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[Store],
) -> dg.MaterializeResult[None]:
    """The version that the node trades: champion in the registry, and named in the node's manifest.

    The newest approved one, if there is no champion or it is better on the same out-of-sample days; else that is kept
    as a challenger, and the champion trades on. A run of `rollback` goes back to the version before.
    """
    from trading_assets import lifecycle
    from trading_assets.registry import Registry, approved_version, chosen_version, read_manifest

    name, cause = context.partition_key, cause_of(context.run, config.reason)
    if config.rollback:
        outcome = lifecycle.roll_back(settings, store, name, config.version, cause)
    elif config.by_rule:
        outcome = lifecycle.promote_by_rule(settings, store, name, config.version, cause)
    else:
        registry = Registry(settings)
        if config.version is None:
            passed = required(context.instance, "approved", name)
            version = approved_version(registry, name, passed.version, passed.metadata["bundle_hash"])
        else:
            version = chosen_version(registry, name, config.version)
        outcome = lifecycle.promote(
            settings, store, name, version.version, cause, regardless=bool(config.reason.strip())
        )
    if not outcome.is_deployed:
        context.log.warning(f"model {name} version {outcome.version.version} {outcome.reason}")
    manifest = read_manifest(settings.live_dir)
    return dg.MaterializeResult(
        metadata={
            "version": outcome.trades,
            "candidate": outcome.version.version,
            "status": outcome.version.status,
            "decision": outcome.reason,
            "bundle_hash": manifest.models[name].bundle_hash,
            "parity": outcome.parity,
            "manifest": dg.MetadataValue.json(manifest.model_dump(mode="json")),
            **_compared(outcome),
            "changes": _changes(store, name),
            **origin(outcome.bundle.markets),
        }
    )


def _compared(outcome: "Outcome") -> dict[str, dg.MetadataValue]:
    """The candidate and the champion side by side, where they were compared."""
    if outcome.comparison is None:
        return {}
    rows = [
        (name, one.first, one.second, one.interval.estimate, one.interval.low, one.interval.high, one.better)
        for name, one in outcome.comparison.found.items()
    ]
    columns = ["measure", "candidate", "champion", "difference", "low", "high", "better"]
    return {
        "comparison": preview(pl.DataFrame(rows, schema=columns, orient="row")),
        "evidence": dg.MetadataValue.json(outcome.comparison.evidence),
    }


def _changes(store: Store, model: str) -> dg.MarkdownMetadataValue:
    """The newest changes of status, the last one first."""
    columns = ["ts", "version", "old_status", "new_status", "changed_by", "reason"]
    return preview(
        store.read(MODEL_EVENTS, where={"model": model}).sort("ts", descending=True).select(columns), rows=10
    )
