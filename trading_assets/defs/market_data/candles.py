"""Market data: closed candles from each market's source, what broke a rule, what was revised, and what is missing."""

from collections.abc import Iterator
from typing import Final

import dagster as dg
import polars as pl

from trading_assets.core.clock import Clock
from trading_assets.defs.lib.freshness import freshness_policy
from trading_assets.defs.lib.metadata import (
    DATA_TEAM,
    Metadata,
    asset_metadata,
    describe_partitions,
    origin_tags,
    preview,
)
from trading_assets.defs.lib.partitions import Partitions, Window, cut_to_days, windows
from trading_assets.defs.market_data.fetching import Fetch, fetch_window
from trading_assets.settings import Settings
from trading_assets.sources import IngestReport
from trading_assets.store.contract import Store
from trading_assets.store.tables import (
    CANDLE_GAPS,
    CANDLE_REVISIONS,
    CANDLES,
    CANDLES_QUARANTINE,
    MARKET_EVENTS,
    TABLES,
    Table,
)

GROUP = "market_data"

_WRITTEN: Final = {
    CANDLES.name: "Closed OHLCV candles per market, from its configured source, in its finest timeframe.",
    CANDLES_QUARANTINE.name: "Candles that broke a rule, kept as they came, with the reason.",
    CANDLE_REVISIONS.name: "Stored candles that came with other values later: the old ones and the new ones.",
    CANDLE_GAPS.name: "Ranges of missing candles whose reason is known; what nobody looked into is not here.",
}
CANDLE_ASSETS: Final = list(_WRITTEN)
"""The assets that one fetch writes."""


def candles_asset(settings: Settings) -> dg.AssetsDefinition:
    """The assets that one fetch writes, for the markets and months of a project."""
    return dg.multi_asset(
        name="candles",
        specs=[
            dg.AssetSpec(
                name,
                description=text,
                group_name=GROUP,
                owners=[DATA_TEAM],
                kinds={"polars", "duckdb"},
                tags=origin_tags(settings),
                metadata=asset_metadata(TABLES[name]),
                freshness_policy=freshness_policy(settings) if name == CANDLES.name else None,
            )
            for name, text in _WRITTEN.items()
        ],
        partitions_def=Partitions.of(settings).market_months,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )(candles)


def candles(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[Store],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.MaterializeResult[None]]:
    """Fetch what is left of each market's months, or what the run's tag `fetch` says: gaps, gaps_again, all."""
    found = windows(context.partition_keys, settings)
    kind, now = Fetch.of(context.run.tags), clock()
    reports = []
    for window in found:
        write_events(store, window, settings)
    for window in cut_to_days(found, context.run.tags):
        reports.append(fetch_window(store, window, settings, kind=kind, now=now, log=context.log.info))
        context.log.info(str(reports[-1]))
    facts = _facts(reports)
    for name in _WRITTEN:
        table = TABLES[name]
        parts = ((window, _stored(store, table, window, settings)) for window in found)
        described = describe_partitions(context, table, parts)
        if table is CANDLES:
            described |= {"preview": _newest(store, found[-1], settings)}
        yield dg.MaterializeResult(asset_key=name, metadata=described | facts[name])


def write_events(store: Store, window: Window, settings: Settings) -> None:
    """Make what the settings tell of a window's events the only rows of ``market_events`` there."""
    rows = [
        (window.market, event.at, event.kind, event.factor, event.note, event.who)
        for event in settings.markets[window.market].events
        if window.start <= event.at < window.end
    ]
    frame = pl.DataFrame(rows, schema=MARKET_EVENTS.columns, orient="row")
    store.replace(MARKET_EVENTS, frame, where={"market": window.market}, start=window.start, end=window.end)


def _facts(reports: list[IngestReport]) -> dict[str, Metadata]:
    """What the fetches found, by the table that it is about."""
    reasons: dict[str, int] = {}
    for report in reports:
        for reason, count in report.explained.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {
        CANDLES.name: {
            "fetched": sum(report.rows for report in reports),
            "repeated_requests": sum(report.retries for report in reports),
            "streamed": sum(report.streamed for report in reports),
            "streamed_differed": sum(report.streamed_differed for report in reports),
            "missing": sum(report.missing for report in reports),
            "longest_gaps": [f"{report.market} {gap}" for report in reports for gap in report.gaps],
        },
        CANDLES_QUARANTINE.name: {"quarantined": sum(report.quarantined for report in reports)},
        CANDLE_REVISIONS.name: {"revised": sum(report.revised for report in reports)},
        CANDLE_GAPS.name: {"missing_by_reason": reasons},
    }


def _stored(store: Store, table: Table, window: Window, settings: Settings) -> pl.DataFrame:
    """What is stored of a window in the market's own timeframe; of candles only the times, for there are many."""
    where = {"market": window.market, "timeframe": settings.markets[window.market].timeframe}
    columns = [table.time] if table is CANDLES else None
    return store.read(table, where=where, start=window.start, end=window.end, columns=columns)


def _newest(store: Store, window: Window, settings: Settings) -> dg.MarkdownMetadataValue:
    """The last candles of a window, for people."""
    where = {"market": window.market, "timeframe": settings.markets[window.market].timeframe}
    return preview(store.tail(CANDLES, where=where, before=window.end, rows=5))
