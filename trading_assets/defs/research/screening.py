"""The screening of a rule's parameters, and what it found."""

import dagster as dg
import polars.selectors as cs
from pydantic import Field

from trading_assets.defs.lib.metadata import RESEARCH_TEAM, asset_metadata, origin, origin_tags, preview
from trading_assets.defs.lib.partitions import ALL_PARTITIONS, Partitions
from trading_assets.defs.lib.progress import tell_searched
from trading_assets.defs.research.models import refuse_other_code
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.migration import up_to_date
from trading_assets.store.tables import SCREENED_SETS


class ScreeningConfig(dg.Config):
    """What a run may say of a screening."""

    sets: int = Field(default=1000, ge=1, description="How many parameter sets are tried at most.")
    grid: bool = Field(default=False, description="A grid of the space instead of random sets.")
    top: int = Field(default=10, ge=1, description="How many of the best are told.")


def screening_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        name="screening",
        deps=[dg.AssetDep("labels", partition_mapping=ALL_PARTITIONS)],
        group_name="models",
        owners=[RESEARCH_TEAM],
        kinds={"python", "polars"},
        tags=origin_tags(settings),
        metadata={**asset_metadata(SCREENED_SETS), "engine": "numba"},
        partitions_def=Partitions.of(settings).models,
    )(screening)


def screening(
    context: dg.AssetExecutionContext,
    config: ScreeningConfig,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[Store],
) -> dg.MaterializeResult[None]:
    """Parameter sets of a rule, traded by arithmetic in the older part of its history; every one counts as a trial."""
    from trading_assets.screening.stored import screen_stored

    name = context.partition_key
    refuse_other_code(context.instance, name, settings)

    def tell(done: float) -> None:
        tell_searched(int(done), config.sets, "", asset="screening")

    found = screen_stored(settings, up_to_date(store), name, sets=config.sets, grid=config.grid, progress=tell)
    best, table = found.best(config.top), found.screened.table
    return dg.MaterializeResult(
        metadata={
            **origin(found.spec.markets),
            "dagster/row_count": table.height,
            "best": preview(best, rows=best.height),
            "best_sets": dg.MetadataValue.json(best.with_columns(cs.float().round(6)).to_dicts()),
            "picture": dg.MetadataValue.path(str(found.picture)),
            "fragment": dg.MetadataValue.md(f"```yaml\n{found.fragment}```"),
            "fragment_file": dg.MetadataValue.path(str(found.fragment_file)),
            "returns_file": dg.MetadataValue.path(str(found.kept)),
            "trials": table.height,
            "screened_from": f"{found.part.start:%Y-%m-%d}",
            "tested_from": f"{found.part.split:%Y-%m-%d}",
            "found": dg.MetadataValue.json(dict(found.changes)),
        }
    )
