"""Models: the walk-forward that measures a specification, and the candidate trained on the newest window."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from trading_assets.defs.lib.causes import cause_of
from trading_assets.defs.lib.metadata import (
    RESEARCH_TEAM,
    asset_metadata,
    describe_frame,
    origin,
    origin_tags,
    picture,
    preview,
)
from trading_assets.defs.lib.partitions import ALL_PARTITIONS, Partitions
from trading_assets.defs.lib.versions import refuse_outdated
from trading_assets.defs.research import features, labels
from trading_assets.settings import ModelSettings, Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import FEATURE_IMPORTANCE, FEATURES, FOLDS, LABELS, MODEL_VERSIONS, PREDICTIONS

if TYPE_CHECKING:
    from trading_assets.models import Dataset

GROUP = "models"


def walk_forward_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        deps=[
            dg.AssetDep("features", partition_mapping=ALL_PARTITIONS),
            dg.AssetDep("labels", partition_mapping=ALL_PARTITIONS),
        ],
        group_name=GROUP,
        owners=[RESEARCH_TEAM],
        kinds={"polars", "duckdb"},
        tags=origin_tags(settings),
        metadata={**asset_metadata(PREDICTIONS), "tables": "predictions, folds, feature_importance"},
        partitions_def=Partitions.of(settings).models,
    )(walk_forward)


def walk_forward(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """Purged and embargoed walk-forward of a model specification: out-of-sample predictions and scores per fold."""
    from trading_assets.backtest.report.feature_plots import shap_summary
    from trading_assets.backtest.report.plots import fold_aucs
    from trading_assets.models import folds, importance, scores
    from trading_assets.models.code_version import code_version
    from trading_assets.registry import Registry, configuration
    from trading_assets.registry.runs import MadeOf, learner

    name, spec = context.partition_key, settings.models[context.partition_key]
    data = checked_dataset(context.instance, store, name, settings)
    for partly in data.missing:
        context.log.warning(str(partly))
    for crossing in data.crossings:
        context.log.warning(str(crossing))
    result = folds.walk_forward(
        data, spec, lambda done, total: context.log.info(f"{name}: fold {done} of {total}"), explained=True
    )
    summary = scores.summary(result.predictions)
    tried = configuration(spec, settings.labels_of(name), features=data.features, fingerprint=data.fingerprint)
    empty = pl.DataFrame(schema={name: kind for name, kind in FEATURE_IMPORTANCE.columns.items() if name != "model"})
    weights = pl.concat([empty, *(part.importance for part in result.explanations)])
    dots = importance.beeswarm(result.explanations, data.features) if result.explanations else pl.DataFrame()
    drawn = {"auc_by_fold.png": fold_aucs(result.folds, fmt="png")}
    drawn |= {"shap_summary.png": shap_summary(dots, fmt="png")} if dots.height else {}
    made_of = MadeOf(
        spec=spec,
        labels=settings.labels_of(name),
        features=data.features,
        dataset_hash=data.content_hash,
        dataset_rows=data.frame.height,
        code_version=code_version(),
        run_id=context.run.run_id,
    )
    Registry(settings).count_walk_forward(name, spec.markets, tried, summary, made_of=made_of, files=drawn)
    named = [
        (table, frame.with_columns(model=pl.lit(name)))
        for table, frame in ((PREDICTIONS, result.predictions), (FOLDS, result.folds), (FEATURE_IMPORTANCE, weights))
    ]
    store.replace_together(named, where={"model": name})
    return dg.MaterializeResult(
        metadata={
            **origin(spec.markets),
            **describe_frame(result.predictions, PREDICTIONS),
            **summary,
            "dataset_hash": data.content_hash,
            "dataset_rows": data.frame.height,
            "dataset_markets": _rows_by_market(data),
            **({"missing_inputs": [str(partly) for partly in data.missing]} if data.missing else {}),
            **({"rows_across_steps": [str(crossing) for crossing in data.crossings]} if data.crossings else {}),
            "decides": learner(spec),
            "configuration": tried,
            "folds": describe_frame(result.folds, FOLDS)["preview"],
            **{
                name.removesuffix(".png"): picture(image, name.removesuffix(".png").replace("_", " "))
                for name, image in drawn.items()
            },
        }
    )


def candidate_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        deps=[
            "walk_forward",
            dg.AssetDep("features", partition_mapping=ALL_PARTITIONS),
            dg.AssetDep("labels", partition_mapping=ALL_PARTITIONS),
        ],
        group_name=GROUP,
        owners=[RESEARCH_TEAM],
        kinds={"mlflow"},
        tags=origin_tags(settings),
        metadata=asset_metadata(MODEL_VERSIONS),
        partitions_def=Partitions.of(settings).models,
    )(candidate)


def candidate(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """The model trained on the newest window, as a hashed bundle with a parity certificate, registered as a draft."""
    from trading_assets.models import bundle, certificates, scores, training
    from trading_assets.monitoring import profile, stored
    from trading_assets.registry import Registry
    from trading_assets.registry.runs import learner
    from trading_assets.strategies import certifying

    name, spec = context.partition_key, settings.models[context.partition_key]
    data = checked_dataset(context.instance, store, name, settings)
    trained = training.train(data, spec)
    written = bundle.write(
        settings.bundles_dir,
        model=name,
        trained=trained,
        dataset=data,
        spec=spec,
        labels=settings.labels_of(name),
        metrics=scores.summary(store.read(PREDICTIONS, where={"model": name})),
        run_id=context.run.run_id,
    )
    certificate = certifying.certify_stored(
        written, store, bars=settings.gates_of(name).parity_bars, leader=settings.features.leader
    )
    kept = certificates.write(written, certificate)
    profile.write(written, stored.made_profile(store, written))
    registry, made_with = Registry(settings), written.provenance.estimator
    version = registry.register(written, name, cause_of(context.run, "trained on the newest window"))
    registry.write_to(store)
    return dg.MaterializeResult(
        metadata={
            "version": version,
            "decides": learner(spec) + (f" ({made_with})" if made_with else ""),
            "bundle_hash": written.bundle_hash,
            "bundle": dg.MetadataValue.path(str(written.folder)),
            "parity": str(certificate),
            "parity_certificate": dg.MetadataValue.path(str(kept)),
            "dataset_hash": data.content_hash,
            "train_start": str(trained.train_start),
            "train_end": str(trained.train_end),
            "train_rows": trained.rows,
            **written.metrics,
            **origin(spec.markets),
        }
    )


def _rows_by_market(data: "Dataset") -> dg.MarkdownMetadataValue:
    """How much of each market there is: one that was listed late, or of which months are missing, shows here."""
    span = (data.frame["ts"].max() - data.frame["ts"].min()) / data.timeframe.length + 1  # type: ignore[operator]
    rows = (
        data.frame.unique(["market", "ts"])
        .group_by("market")
        .agg(
            pl.len().alias("rows"),
            pl.col("ts").min().alias("first"),
            pl.col("ts").max().alias("last"),
            (pl.len() / span).round(4).alias("share of the bars"),
        )
    )
    return preview(rows.sort("market"), rows=rows.height)


def checked_dataset(instance: dg.DagsterInstance, store: Store, model: str, settings: Settings) -> "Dataset":
    """The features and labels of a model's markets, if they are of this code and finite; of a rule, what it wants.

    The check on `features` says the latter too, but its verdict belongs to another run.
    """
    from trading_assets.strategies.stored_data import stored_dataset

    refuse_other_code(instance, model, settings)
    return stored_dataset(store, settings.models[model], settings, name=model)


def refuse_other_code(instance: dg.DagsterInstance, model: str, settings: Settings) -> None:
    """Refuse labels, and features where the model reads any, that other code or settings made."""
    spec = settings.models[model]
    refuse_outdated(instance, LABELS.name, spec.markets, code_version=labels.code_version(settings))
    if isinstance(spec, ModelSettings):
        refuse_outdated(instance, FEATURES.name, spec.markets, code_version=features.code_version(settings))
