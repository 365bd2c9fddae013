"""Market data: closed candles from each market's source, and what broke a rule on the way."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from trading_assets.defs.partitions import MARKET_MONTHS, SETTINGS, Window, windows
from trading_assets.defs.present import (
    DATA_TEAM,
    Metadata,
    asset_metadata,
    describe_partitions,
    origin_tags,
)
from trading_assets.settings import Settings
from trading_assets.sources import IngestReport, ingest, open_source, resume_from
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, CANDLES_QUARANTINE, Table

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
    found = windows(context.partition_keys, settings)
    reports = [_fetch(store, window, settings) for window in found]
    for report in reports:
        context.log.info(str(report))
    facts: dict[str, Metadata] = {
        CANDLES.name: {
            "fetched": sum(report.rows for report in reports),
            "missing": sum(report.missing for report in reports),
            "longest_gaps": [f"{report.market} {gap}" for report in reports for gap in report.gaps],
        },
        CANDLES_QUARANTINE.name: {"quarantined": sum(report.quarantined for report in reports)},
    }
    for table in (CANDLES, CANDLES_QUARANTINE):
        parts = ((window, _stored(store, table, window, settings)) for window in found)
        yield dg.MaterializeResult(
            asset_key=table.name,
            metadata={**describe_partitions(context, table, parts, settings), **facts[table.name]},
        )


def _fetch(store: Store, window: Window, settings: Settings) -> IngestReport:
    """Fetch a window; one that still grows is fetched from its last candle on, so that an hour costs an hour."""
    now = datetime.now(UTC)
    market, timeframe = window.market, settings.markets[window.market].timeframe
    start, end = window.start, window.end
    if end > now:
        start = resume_from(store, market=market, timeframe=timeframe, start=start, end=end)
    source = open_source(settings, market)
    return ingest(store, source, market=market, timeframe=timeframe, start=start, end=end, now=now)


def _stored(store: Store, table: Table, window: Window, settings: Settings) -> pl.DataFrame:
    """What is stored of a window in the market's own timeframe."""
    where = {"market": window.market, "timeframe": settings.markets[window.market].timeframe}
    return store.read(table, where=where, start=window.start, end=window.end)
