"""Deployment: an approved version becomes the active one, and the node's manifest is swapped."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from trading_assets.core.errors import ModelError
from trading_assets.defs.lib.causes import cause_of
from trading_assets.defs.lib.check_states import refused_by_checks
from trading_assets.defs.lib.metadata import TRADING_TEAM, asset_metadata, origin, origin_tags
from trading_assets.defs.lib.partitions import Partitions
from trading_assets.defs.lib.versions import VERSION_TAG, required
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import MODEL_VERSIONS

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


def deployment(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """The version that the node trades: champion in the registry, and named in the node's manifest.

    The newest approved one, or the one that the run's tag `trading/version` names: a rollback.
    """
    from trading_assets.features import fingerprint
    from trading_assets.models import bundle, certificates
    from trading_assets.registry import DeployedModel, Registry, approved_version, chosen_version, deploy
    from trading_assets.strategies.decisions import check_rule_code

    name, registry = context.partition_key, Registry(settings)
    chosen = context.run.tags.get(VERSION_TAG)
    if chosen is None:
        passed = required(context.instance, "approved", name)
        version = approved_version(registry, name, passed.version, passed.metadata["bundle_hash"])
    else:
        version = chosen_version(registry, name, chosen)
    verified = bundle.load(
        version.bundle_path,
        expected_hash=version.bundle_hash,
        feature_fingerprint=partial(fingerprint, plugins=settings.plugged),
        plugins=settings.plugged,
    )
    check_rule_code(verified)
    certificate = certificates.check(verified)
    version = registry.promote(name, version.version, cause_of(context.run, "promoted"))
    deployed = DeployedModel.of(verified, version.version, settings.data_dir, datetime.now(UTC))
    manifest = deploy(settings.live_dir, deployed)
    registry.write_to(store)
    return dg.MaterializeResult(
        metadata={
            "version": version.version,
            "status": version.status,
            "bundle_hash": verified.bundle_hash,
            "parity": str(certificate),
            "manifest": dg.MetadataValue.json(manifest.model_dump(mode="json")),
            **origin(verified.markets),
        }
    )
