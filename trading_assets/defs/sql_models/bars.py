"""Bars: an asset for each timeframe that models name, or a SQL model reads; all of one SELECT."""

import dagster as dg
import polars as pl

from trading_assets.core.timeframes import Timeframe
from trading_assets.defs.lib.freshness import freshness_policy
from trading_assets.defs.lib.metadata import DATA_TEAM, describe_partitions, origin_tags
from trading_assets.defs.lib.partitions import Partitions, Window, windows
from trading_assets.defs.lib.recomputed_rows import bar_start, made_anew, resume_at
from trading_assets.defs.sql_models.lineage import lineage_metadata, sql_asset
from trading_assets.settings import Settings
from trading_assets.settings.demand import asked_timeframes, bars_of
from trading_assets.sql import SqlModel, SqlModels, build_bars, load_models
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS

FOLLOWS_DATA = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def project_models(settings: Settings) -> SqlModels:
    """The SQL models of a project: the files, and of templates the timeframes that its models ask for."""
    return load_models(timeframes=asked_timeframes(settings))


def bars_asset(model: SqlModel, timeframe: Timeframe, settings: Settings) -> dg.AssetsDefinition:
    """The asset that runs the SQL model of one timeframe for each month of each market."""
    table = BARS[timeframe.name]
    made = "that are the candles, not stored again" if table.view else f"built from candles by `{model.path.name}`"

    @sql_asset(
        model,
        description=f"Closed {timeframe} bars {made}.",
        group_name="bars",
        owners=[DATA_TEAM],
        tags=origin_tags(settings),
        partitions_def=Partitions.of(settings).market_months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOWS_DATA,
        freshness_policy=freshness_policy(settings),
    )
    def bars(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
    ) -> dg.MaterializeResult[None]:
        found = windows(context.partition_keys, settings)
        parts = [(window, write_bars(store, model, timeframe, window, settings)) for window in found]
        return dg.MaterializeResult(metadata={**describe_partitions(context, table, parts), **lineage_metadata(model)})

    return bars


def write_bars(store: Store, model: SqlModel, timeframe: Timeframe, window: Window, settings: Settings) -> pl.DataFrame:
    """Make the bars of one window anew, where something reads them."""
    table, market, where = BARS[timeframe.name], window.market, {"market": window.market}
    if timeframe not in bars_of(settings, market) and model.name not in read_by_models(settings):
        return pl.DataFrame(schema=table.columns)
    if table.view:
        return store.read(table, where=where, start=window.start, end=window.end)
    finest = settings.markets[market].timeframe
    start = bar_start(resume_at(store, settings, market, window.start), timeframe.length)
    frame = build_bars(store, model, market=market, timeframe=finest, start=start, end=window.end)
    first, last = made_anew(window, settings, start, window.end)
    store.replace(table, frame, where=where, start=first, end=last)
    return frame


def read_by_models(settings: Settings) -> set[str]:
    """The tables that SQL models read."""
    return {table for model in project_models(settings).values() for table in model.dependencies}


def bar_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The bars of each timeframe that models name, or a SQL model reads."""
    models = project_models(settings).values()
    return [bars_asset(model, model.timeframe, settings) for model in models if model.timeframe is not None]
