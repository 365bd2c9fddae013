"""Market data: closed candles from each market's source, and what broke a rule on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from trading_assets.defs.partitions import MARKET_MONTHS, SETTINGS, windows
from trading_assets.defs.present import (
    DATA_TEAM,
    asset_metadata,
    describe_windows,
    origin_tags,
)
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, CANDLES_QUARANTINE

GROUP = "market_data"


@dg.multi_asset(
    name="candles",
    specs=[
        dg.AssetSpec(
            CANDLES.name,
            description="Closed OHLCV candles per market, from its configured source, in its finest timeframe.",
            group_name=GROUP,
            owners=[DATA_TEAM],
            kinds={"polars", "duckdb"},
            tags=origin_tags(SETTINGS),
            metadata=asset_metadata(CANDLES),
        ),
        dg.AssetSpec(
            CANDLES_QUARANTINE.name,
            description="Candles that broke a rule, kept as they came, with the reason.",
            group_name=GROUP,
            owners=[DATA_TEAM],
            kinds={"polars", "duckdb"},
            tags=origin_tags(SETTINGS),
            metadata=asset_metadata(CANDLES_QUARANTINE),
        ),
    ],
    partitions_def=MARKET_MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def candles(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """Fetch the months of each market, set bad rows apart, and write both by key."""
    from trading_assets.sources import ingest, open_source

    found = windows(context.partition_keys, settings)
    quarantined = 0
    for window in found:
        report = ingest(
            store,
            open_source(settings, window.market),
            market=window.market,
            timeframe=settings.markets[window.market].timeframe,
            start=window.start,
            end=window.end,
            now=datetime.now(UTC),
        )
        quarantined += report.quarantined
        context.log.info(f"{window.market}: {report.rows} candles, {report.quarantined} set apart")
    yield dg.MaterializeResult(
        asset_key=CANDLES.name,
        metadata={
            **describe_windows(context, store, CANDLES, found, settings, timeframes=True),
            "quarantined_in_run": quarantined,
        },
    )
    yield dg.MaterializeResult(
        asset_key=CANDLES_QUARANTINE.name,
        metadata=describe_windows(context, store, CANDLES_QUARANTINE, found, settings, timeframes=True),
    )
