"""Bars: one asset per SQL model in ``dbt_like_sql/``; its upstream assets are the tables that the SELECT reads."""

import dagster as dg
import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.defs.lib.freshness import FRESH
from trading_assets.defs.lib.metadata import DATA_TEAM, describe_partitions, origin_tags
from trading_assets.defs.lib.partitions import MARKET_MONTHS, SETTINGS, Window, windows
from trading_assets.defs.lib.recomputed_rows import bar_start, made_anew, resume_at
from trading_assets.defs.sql_models.lineage import lineage_metadata, sql_asset
from trading_assets.settings import Settings
from trading_assets.sql import SqlModel, build_bars, load_models
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS

FOLLOWS_DATA = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def bars_asset(model: SqlModel, timeframe: str) -> dg.AssetsDefinition:
    """The asset that runs one SQL model for each month of each market."""
    table = BARS[timeframe]

    @sql_asset(
        model,
        description=f"Closed {timeframe} bars built from candles by `{model.path.name}`.",
        group_name="bars",
        owners=[DATA_TEAM],
        tags=origin_tags(SETTINGS),
        partitions_def=MARKET_MONTHS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOWS_DATA,
        freshness_policy=FRESH,
    )
    def bars(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
    ) -> dg.MaterializeResult[None]:
        found = windows(context.partition_keys, settings)
        parts = [(window, write_bars(store, model, timeframe, window, settings)) for window in found]
        return dg.MaterializeResult(metadata={**describe_partitions(context, table, parts), **lineage_metadata(model)})

    return bars


def write_bars(store: Store, model: SqlModel, timeframe: str, window: Window, settings: Settings) -> pl.DataFrame:
    """Make the bars of one window anew."""
    market, finest = window.market, settings.markets[window.market].timeframe
    start = bar_start(resume_at(store, settings, market, window.start), timeframe_delta(timeframe))
    frame = build_bars(store, model, market=market, timeframe=finest, start=start, end=window.end)
    first, last = made_anew(window, settings, start, window.end)
    store.replace(BARS[timeframe], frame, where={"market": market}, start=first, end=last)
    return frame


bar_assets = [
    bars_asset(model, name.removeprefix("bars_")) for name, model in load_models().items() if name.startswith("bars_")
]
