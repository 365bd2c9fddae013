"""Funding rates: what longs paid shorts in each perpetual, from the market's source."""

import dagster as dg

from trading_assets.core.clock import Clock
from trading_assets.defs.lib.metadata import DATA_TEAM, asset_metadata, describe_partitions, origin_tags
from trading_assets.defs.lib.partitions import Partitions, windows
from trading_assets.settings import Settings
from trading_assets.sources.funding.ingestion import ingest_funding, open_funding
from trading_assets.store.contract import Store
from trading_assets.store.tables import FUNDING_RATES


def funding_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the markets and months of a project."""
    return dg.asset(
        name=FUNDING_RATES.name,
        description="Funding payments of the perpetuals, each known when it was settled; spot markets have none.",
        group_name="market_data",
        owners=[DATA_TEAM],
        kinds={"polars", "duckdb"},
        tags=origin_tags(settings),
        metadata=asset_metadata(FUNDING_RATES),
        partitions_def=Partitions.of(settings).market_months,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )(funding_rates)


def funding_rates(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[Store],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Fetch the payments of the months of each market and write them by key."""
    now = clock()
    found = windows(context.partition_keys, settings)
    quarantined = revised = 0
    for window in found:
        source = open_funding(settings, window.market)
        if source is None:
            context.log.info(f"{window.market} has no funding rates")
            continue
        report = ingest_funding(store, source, market=window.market, start=window.start, end=window.end, now=now)
        context.log.info(str(report))
        quarantined += report.quarantined
        revised += report.revised
    parts = (
        (window, store.read(FUNDING_RATES, where={"market": window.market}, start=window.start, end=window.end))
        for window in found
    )
    described = describe_partitions(context, FUNDING_RATES, parts)
    return dg.MaterializeResult(metadata={**described, "quarantined": quarantined, "revised": revised})
