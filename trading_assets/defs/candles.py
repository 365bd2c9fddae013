"""Market data: closed candles from each market's source, and what broke a rule on the way."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
import polars as pl

from trading_assets.candles import timeframe_delta
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

FETCHED_AGAIN: Final = timedelta(days=1)
"""How much of a growing month is asked for once more; for candles of a minute that is two pages of an exchange."""


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
    now = datetime.now(UTC)
    reports = [_fetch(store, window, settings, now) for window in found]
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
            metadata={**describe_partitions(context, table, parts), **facts[table.name]},
        )


def _fetch(store: Store, window: Window, settings: Settings, now: datetime) -> IngestReport:
    """Fetch a window; one that still grows is fetched from where it is incomplete, so that an hour costs an hour."""
    market, timeframe = window.market, settings.markets[window.market].timeframe
    start = resume_window(store, window, timeframe) if window.end > now else window.start
    source = open_source(settings, market)
    return ingest(store, source, market=market, timeframe=timeframe, start=start, end=window.end, now=now)


def resume_window(store: Store, window: Window, timeframe: str) -> datetime:
    """From where on a window that still grows must be fetched: a day before the end of its first unfinished month.

    Month by month, because a later month may have been fetched while an earlier one was cut off by a kill. The day
    brings in what the exchange delivered late, or what a clock that is ahead took for closed.
    """
    for month in window.months:
        at = resume_from(store, market=window.market, timeframe=timeframe, start=month.start, end=month.end)
        if at < month.end - timeframe_delta(timeframe):
            break
    return max(window.start, at - FETCHED_AGAIN)


def _stored(store: Store, table: Table, window: Window, settings: Settings) -> pl.DataFrame:
    """What is stored of a window in the market's own timeframe."""
    where = {"market": window.market, "timeframe": settings.markets[window.market].timeframe}
    return store.read(table, where=where, start=window.start, end=window.end)
