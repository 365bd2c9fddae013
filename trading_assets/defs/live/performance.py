"""Live: the node's closed trades, and how its account did by day, week, month and in all."""

from collections.abc import Iterator

import dagster as dg

from trading_assets.defs.lib.metadata import TRADING_TEAM, asset_metadata, describe_frame
from trading_assets.defs.lib.partitions import ALL_PARTITIONS
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import ACCOUNT_EQUITY, CANDLES, FILLS, LIVE_FUNDING, LIVE_TRADES, PERFORMANCE

_MADE = (
    (LIVE_TRADES, "Each closed trade of the node: duration, excursions, slippage against the decision's price."),
    (PERFORMANCE, "The node's account and trades by day, week, month and in all, with Sharpe ratio and drawdown."),
)


@dg.multi_asset(
    name="live_performance",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[
                FILLS.name,
                ACCOUNT_EQUITY.name,
                LIVE_FUNDING.name,
                dg.AssetDep(CANDLES.name, partition_mapping=ALL_PARTITIONS),
            ],
            description=text,
            group_name="live",
            owners=[TRADING_TEAM],
            kinds={"polars", "duckdb"},
            metadata=asset_metadata(table),
        )
        for table, text in _MADE
    ],
)
def live_performance(
    settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """Put the node's trades together from its journal, and sum account and trades up by period."""
    from trading_assets.performance.stored import keep, measure

    found = measure(store, settings)
    keep(store, *found)
    for (table, _), frame in zip(_MADE, found, strict=True):
        yield dg.MaterializeResult(asset_key=table.name, metadata=describe_frame(frame, table))
