"""Deployment: an approved version becomes the active one, and the node's manifest is swapped."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from trading_assets.core.errors import ModelError
from trading_assets.defs.lib.check_states import refused_by_checks
from trading_assets.defs.lib.metadata import TRADING_TEAM, asset_metadata, origin, origin_tags
from trading_assets.defs.lib.partitions import MODELS, SETTINGS
from trading_assets.defs.lib.versions import VERSION_TAG, required, traded_with
from trading_assets.defs.research.evaluation import backtest
from trading_assets.defs.research.models import candidate
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import MODEL_VERSIONS, PREDICTIONS

if TYPE_CHECKING:
    from trading_assets.models import Bundle
    from trading_assets.registry import ModelVersion, Registry

GROUP = "deployment"


@dg.asset(
    deps=[backtest, candidate],
    group_name=GROUP,
    owners=[TRADING_TEAM],
    kinds={"mlflow"},
    tags=origin_tags(SETTINGS),
    metadata=asset_metadata(MODEL_VERSIONS),
    partitions_def=MODELS,
    output_required=False,
)
def approved(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """The candidate whose gates all pass and that decides as the node will, with status approved in the registry.

    A refused one leaves nothing here: the checks of `backtest` are its verdict.
    """
    from trading_assets.backtest.stored import judge_again
    from trading_assets.models import parity
    from trading_assets.registry import Registry

    name = context.partition_key
    trained = required(context.instance, "candidate", name)
    registry, version = Registry(settings), trained.version
    _check_same_data(context.instance, name)
    if failed := [gate.text for gate in judge_again(store, settings, name, version) if not gate.passed]:
        judged_here = required(context.instance, "backtest", name).run_id == context.run.run_id
        if not (judged_here and refused_by_checks(store, "backtest", name)):
            raise ModelError("; ".join(failed), where=f"model {name}", remedy="see the checks on the asset backtest")
        context.log.warning(f"model {name} version {version} is refused: {'; '.join(failed)}")
        return
    known = registry.get(name, version)
    if known.status == "rejected":
        raise ModelError("it was rejected by hand", where=f"model {name} version {version}", remedy="train another one")
    held = _check_same_settings(known, settings)
    _check_same_research(context.instance, store, settings, held)
    certificate = parity.check(held)
    status: str = known.status
    if status == "draft":
        status = registry.set_status(name, version, "approved").status
    store.upsert(MODEL_VERSIONS, registry.versions_frame())
    yield dg.MaterializeResult(
        metadata={
            "version": version,
            "status": status,
            "bundle_hash": trained.metadata["bundle_hash"],
            "parity": str(certificate),
            **origin(settings.models[name].markets),
        }
    )


@dg.asset(
    deps=[approved],
    group_name=GROUP,
    owners=[TRADING_TEAM],
    kinds={"mlflow"},
    tags=origin_tags(SETTINGS),
    metadata=asset_metadata(MODEL_VERSIONS),
    partitions_def=MODELS,
)
def deployment(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """The version that the node trades: champion in the registry, and named in the node's manifest.

    The newest approved one, or the one that the run's tag `trading/version` names: a rollback.
    """
    from trading_assets.features import fingerprint
    from trading_assets.models import bundle, parity
    from trading_assets.registry import DeployedModel, Registry, deploy

    name, registry = context.partition_key, Registry(settings)
    chosen = context.run.tags.get(VERSION_TAG)
    version = _approved(context.instance, registry, name) if chosen is None else _chosen(registry, name, chosen)
    verified = bundle.load(version.bundle_path, expected_hash=version.bundle_hash, feature_fingerprint=fingerprint())
    certificate = parity.check(verified)
    version = registry.promote(name, version.version)
    deployed = DeployedModel(
        model=name,
        version=version.version,
        bundle=_below(verified.folder, settings),
        bundle_hash=verified.bundle_hash,
        markets=verified.markets,
        deployed_at=datetime.now(UTC),
    )
    manifest = deploy(settings.live_dir, deployed)
    store.upsert(MODEL_VERSIONS, registry.versions_frame())
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


def _approved(instance: dg.DagsterInstance, registry: "Registry", name: str) -> "ModelVersion":
    """The newest version that was approved, if the registry agrees."""
    passed = required(instance, "approved", name)
    version = registry.get(name, passed.version)
    if version.status in ("draft", "rejected"):
        raise ModelError(
            f"the registry does not have it as approved but as {version.status}",
            where=f"model {name} version {version.version}",
            remedy="run the job retrain for it",
        )
    if version.bundle_hash != passed.metadata["bundle_hash"]:
        raise ModelError(
            f"version {version.version} of the registry is not the bundle that was approved",
            where=f"model {name}",
            remedy="was the registry replaced? run the job retrain for it",
        )
    return version


def _chosen(registry: "Registry", name: str, number: str) -> "ModelVersion":
    """A version that somebody chose; it must have been approved once."""
    if not number.isdigit():
        raise ModelError(f"{number!r} is no version", where=f"model {name}", remedy="trading models lists them")
    version = registry.get(name, int(number))
    if version.status in ("draft", "rejected"):
        raise ModelError(
            f"a version that is {version.status} is not deployed",
            where=f"model {name} version {number}",
            remedy="choose one that was approved: trading models lists them",
        )
    return version


def _check_same_data(instance: dg.DagsterInstance, model: str) -> None:
    """Refuse a candidate that learnt from other data than the walk-forward, or that no backtest followed."""
    judged = required(instance, "walk_forward", model).metadata["dataset_hash"]
    learnt = required(instance, "candidate", model).metadata["dataset_hash"]
    if judged != learnt:
        raise ModelError(
            f"backtest and candidate rest on different data sets ({judged[:12]} and {learnt[:12]})",
            where=f"model {model}",
            remedy="run the whole job retrain for it",
        )
    traded, trained = (required(instance, asset, model).version for asset in ("backtest", "candidate"))
    if traded != trained:
        raise ModelError(
            f"the newest backtest was made for version {traded}, the candidate is version {trained}",
            where=f"model {model}",
            remedy="run the whole job retrain for it",
        )


def _check_same_settings(candidate: "ModelVersion", settings: Settings) -> "Bundle":
    """The candidate's bundle; refuses another threshold, barriers or learner than the settings that were traded."""
    from trading_assets.models import bundle

    held = bundle.load(candidate.bundle_path, expected_hash=candidate.bundle_hash)
    spec = settings.models[candidate.name]
    if (held.spec.ungated(), held.labels) != (spec.ungated(), settings.labels[spec.label]):
        raise ModelError(
            "the settings of the model or of its labels changed after it was trained",
            where=f"model {candidate.name} version {candidate.version}",
            remedy="run the whole job retrain for it",
        )
    return held


def _check_same_research(instance: dg.DagsterInstance, store: Store, settings: Settings, candidate: "Bundle") -> None:
    """Refuse a backtest that was traded otherwise than the settings say, or on what another walk-forward predicted."""
    from trading_assets.core.content_hash import frame_hash
    from trading_assets.registry import configuration

    model = candidate.model
    walked, traded = (required(instance, asset, model).metadata for asset in ("walk_forward", "backtest"))
    tried = configuration(
        candidate.spec, candidate.labels, features=candidate.features, fingerprint=candidate.feature_fingerprint
    )
    predicted = frame_hash(store.read(PREDICTIONS, where={"model": model}))
    for found, wanted, problem in (
        (traded.get("traded_with"), traded_with(settings, model), "the newest backtest was traded with other settings"),
        (
            walked.get("configuration"),
            tried,
            "the newest walk-forward tried another configuration than the candidate's",
        ),
        (
            traded.get("predictions_hash"),
            predicted,
            "the newest backtest traded other predictions than the newest walk-forward made",
        ),
    ):
        if found != wanted:
            raise ModelError(problem, where=f"model {model}", remedy="run the whole job retrain for it")


def _below(folder: Path, settings: Settings) -> str:
    """The bundle's folder as the manifest names it: from the data folder on, where it lies there."""
    inside = folder.is_relative_to(settings.data_dir)
    return (folder.relative_to(settings.data_dir) if inside else folder).as_posix()
