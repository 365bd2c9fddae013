"""Live: the node's trades beside a backtest of the same bars, day by day, and the limits on what lies between them."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from trading_assets.defs.lib.metadata import TRADING_TEAM, asset_metadata, describe_frame, picture
from trading_assets.defs.lib.partitions import ALL_PARTITIONS
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, DIVERGENCE, DIVERGENCE_DAYS, FEATURES, LIVE_FEATURES, LIVE_TRADES

CHECK: Final = "divergence_limits"
_CAUSE: Final = "divergence_bps"
_MADE = (
    (DIVERGENCE, "Each trade of the node beside the backtest's of the same bars: the gap and what it consists of."),
    (DIVERGENCE_DAYS, "Each day's mean gap of a trade and its parts."),
)


@dg.multi_asset(
    name="divergence_of_days",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[
                LIVE_TRADES.name,
                LIVE_FEATURES.name,
                dg.AssetDep(CANDLES.name, partition_mapping=ALL_PARTITIONS),
                dg.AssetDep(FEATURES.name, partition_mapping=ALL_PARTITIONS),
            ],
            description=text,
            group_name="live",
            owners=[TRADING_TEAM],
            kinds={"nautilus", "duckdb"},
            metadata=asset_metadata(table),
        )
        for table, text in _MADE
    ],
)
def divergence_of_days(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """Trade the newest days' signals again by the backtest's engine, and attribute what differs; tell the node."""
    from trading_assets.divergence.days import shortfall
    from trading_assets.divergence.plots import stacked
    from trading_assets.divergence.stored import keep, measure
    from trading_assets.registry.facts import tell_fact

    found = measure(store, settings)
    keep(store, found)
    for note in found.notes:
        context.log.warning(f"not compared: {note}")
    tell_fact(settings.live_dir, _CAUSE, ("node", ""), shortfall(found.days))
    days = store.read(DIVERGENCE_DAYS, where={"node": found.node})
    shown = {}
    if days.height:
        limit = settings.divergence.max_gap_bps
        shown = {"picture": picture(stacked(days, f"{found.node} beside its backtest", limit=limit), "gap by day")}
    for table, _ in _MADE:
        metadata = {**describe_frame(store.read(table), table), "not compared": list(found.notes), **shown}
        yield dg.MaterializeResult(asset_key=table.name, metadata=metadata)


@dg.asset_check(
    name=CHECK,
    asset=DIVERGENCE_DAYS.name,
    description="No day's trades are farther from their backtest than `divergence.max_gap_bps`, and causes are found.",
)
def divergence_limits(settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]) -> dg.AssetCheckResult:
    """Hold each of the newest `divergence.days` days against the limits."""
    from trading_assets.divergence.days import problems

    days = store.read(DIVERGENCE_DAYS)
    newest = days.filter(days["ts"].rank("dense", descending=True) <= settings.divergence.days)
    told = problems(newest, settings.divergence)
    good = f"{newest.height} days within the limits" if newest.height else "no day has a trade that is over"
    return dg.AssetCheckResult(
        passed=not told,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(told) or good,
        metadata={"beyond a limit": told},
    )
