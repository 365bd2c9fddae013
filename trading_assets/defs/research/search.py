"""The search for a model's parameters, and what it found."""

from typing import Final

import dagster as dg

from trading_assets.defs.lib.metadata import (
    RESEARCH_TEAM,
    asset_metadata,
    describe_frame,
    measured,
    origin,
    origin_tags,
)
from trading_assets.defs.lib.partitions import ALL_PARTITIONS, Partitions
from trading_assets.defs.lib.progress import tell_searched
from trading_assets.defs.research.models import refuse_other_code
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.migration import up_to_date
from trading_assets.store.tables import SEARCH_TRIALS

ANEW_TAG: Final = "trading/search"
"""Of a run: `anew` begins a search instead of going on with an earlier one of the same settings and data."""


def search_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        name="parameter_search",
        deps=[
            dg.AssetDep("features", partition_mapping=ALL_PARTITIONS),
            dg.AssetDep("labels", partition_mapping=ALL_PARTITIONS),
        ],
        group_name="models",
        owners=[RESEARCH_TEAM],
        kinds={"python", "polars"},
        tags=origin_tags(settings),
        metadata={**asset_metadata(SEARCH_TRIALS), "engine": "Optuna"},
        partitions_def=Partitions.of(settings).models,
    )(parameter_search)


def parameter_search(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """Parameters searched in the older part of the history, judged on newer windows that no trial saw."""
    from trading_assets.backtest.report.files import page_address
    from trading_assets.search.running import Step
    from trading_assets.search.stored import search_stored

    name, spec = context.partition_key, settings.models[context.partition_key]
    refuse_other_code(context.instance, name, settings)

    def tell(step: Step) -> None:
        best = "" if step.best is None else f", best {step.best:.2f}"
        context.log.info(f"{name}: trial {step.done} of {step.total}: {step.said}{best}")
        tell_searched(step.done, step.total, f"{step.said}{best}")

    anew = context.run.tags.get(ANEW_TAG) == "anew"
    outcome = search_stored(settings, up_to_date(store), name, anew=anew, progress=tell)
    found, judged = outcome.found, outcome.judged
    return dg.MaterializeResult(
        metadata={
            **origin(spec.markets),
            **describe_frame(found.rows, SEARCH_TRIALS),
            "report": dg.MetadataValue.url(page_address(name, outcome.report.stem)),
            "report_file": dg.MetadataValue.path(str(outcome.report)),
            "fragment": dg.MetadataValue.md(f"```yaml\n{outcome.fragment}```"),
            "fragment_file": dg.MetadataValue.path(str(outcome.fragment_file)),
            "trials": len(found.trials),
            "tested_from": f"{found.cut.split:%Y-%m-%d}",
            "value": float(found.best.value or 0.0),
            "found": dg.MetadataValue.json(dict(found.changes)),
            "passes_gates": judged.approved,
            "refused_by": dg.MetadataValue.json([gate.name for gate in judged.gates if not gate.passed]),
            **({"not_judged": judged.problem} if judged.problem else {}),
            **measured({} if judged.result is None else {f"unseen_{k}": v for k, v in judged.result.metrics.items()}),
        }
    )
