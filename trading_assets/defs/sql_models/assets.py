"""SQL models as assets: a file in ``dbt_like_sql/`` and its table are all that a new one needs.

Its parameters say what it is run for: a market's months where it takes ``$market``, the months of all markets where it
takes ``$start``, and all there is where it takes neither. The bars have a file of their own.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

import dagster as dg
import polars as pl

from trading_assets.core.errors import SqlModelError
from trading_assets.defs.lib.metadata import DATA_TEAM, TRADING_TEAM, describe_frame, describe_partitions, origin_tags
from trading_assets.defs.lib.partitions import Partitions, Window, cut_to_days, windows
from trading_assets.defs.lib.recomputed_rows import bar_start, made_anew, resume_at
from trading_assets.defs.sql_models.bars import FOLLOWS_DATA, project_models
from trading_assets.defs.sql_models.lineage import lineage_metadata, sql_asset
from trading_assets.settings import Settings
from trading_assets.sql import SqlModel, run_model, run_window
from trading_assets.store.contract import Store
from trading_assets.store.tables import (
    DAILY_QUALITY,
    EXCHANGE_COMPARISON,
    GAPS,
    PERFORMANCE_SUMMARY,
    TABLES,
)

_DAY: Final = timedelta(days=1)
_OF_A_MARKET: Final = {"market", "timeframe", "candle_minutes", "start", "end"}
_OF_A_SPAN: Final = {"start", "end"}
_FROM_SETTINGS: Final[dict[str, Callable[[Settings], float]]] = {
    "limit_bps": lambda settings: settings.quality.second_exchange.max_bps
}
"""Further parameters, and the settings that give them."""

_PLACES: Final = {
    **dict.fromkeys((GAPS.name, DAILY_QUALITY.name, EXCHANGE_COMPARISON.name), ("quality", DATA_TEAM)),
    PERFORMANCE_SUMMARY.name: ("live", TRADING_TEAM),
}
"""Group and owner; others stand in the group ``sql_models``."""


def windows_of_months(keys: Iterable[str], settings: Settings) -> list[Window]:
    """Contiguous months of all markets."""
    return windows((f"*|{key}" for key in keys), settings)


def model_asset(model: SqlModel, settings: Settings) -> dg.AssetsDefinition:
    """The asset that runs one SQL model.

    Raises
    ------
    SqlModelError
        If nobody gives one of the model's parameters.
    """
    needed = set(model.parameters) - set(_FROM_SETTINGS)
    for unknown in sorted(needed - _OF_A_MARKET):
        raise SqlModelError(
            f"nobody gives the parameter ${unknown}",
            where=str(model.path),
            remedy=f"there is {', '.join(sorted(_OF_A_MARKET | set(_FROM_SETTINGS)))}",
        )
    if needed <= _OF_A_SPAN:
        return _of_all_markets(model, settings) if needed else _of_everything(model)
    return _of_markets(model, settings)


def _asset(model: SqlModel, **options: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    group, team = _PLACES.get(model.name, ("sql_models", DATA_TEAM))
    text = f"{model.description} Made by `{model.path.name}`."
    return sql_asset(model, description=text, group_name=group, owners=[team], **options)


def _given(model: SqlModel, settings: Settings) -> dict[str, Any]:
    return {name: give(settings) for name, give in _FROM_SETTINGS.items() if name in model.parameters}


def _of_markets(model: SqlModel, settings: Settings) -> dg.AssetsDefinition:
    table = TABLES[model.name]

    @_asset(
        model,
        tags=origin_tags(settings),
        partitions_def=Partitions.of(settings).market_months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOWS_DATA,
    )
    def of_markets(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
    ) -> dg.MaterializeResult[None]:
        found = windows(context.partition_keys, settings)
        for window in cut_to_days(found, context.run.tags):
            write_model(store, model, window, settings)
        parts = [(window, _stored(store, model, window)) for window in found]
        return dg.MaterializeResult(metadata={**describe_partitions(context, table, parts), **lineage_metadata(model)})

    return of_markets


def write_model(store: Store, model: SqlModel, window: Window, settings: Settings) -> None:
    """Make the rows of one window of a market anew."""
    market, finest = window.market, settings.markets[window.market].timeframe
    start = bar_start(resume_at(store, settings, market, window.start), _DAY)
    span = {"start": start, "end": window.end}
    frame = run_window(store, model, market=market, timeframe=finest, **span, **_given(model, settings))
    first, last = made_anew(window, settings, start, window.end)
    store.replace(TABLES[model.name], frame, where={"market": market}, start=first, end=last)


def _stored(store: Store, model: SqlModel, window: Window) -> pl.DataFrame:
    return store.read(TABLES[model.name], where={"market": window.market}, start=window.start, end=window.end)


def _of_all_markets(model: SqlModel, settings: Settings) -> dg.AssetsDefinition:
    table = TABLES[model.name]

    @_asset(
        model,
        tags=origin_tags(settings),
        partitions_def=Partitions.of(settings).months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOWS_DATA,
    )
    def of_all_markets(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
    ) -> dg.MaterializeResult[None]:
        frames = []
        for window in windows_of_months(context.partition_keys, settings):
            span = {"start": window.start, "end": window.end}
            frames.append(run_model(store, model, **span, **_given(model, settings)))
            store.replace(table, frames[-1], where={}, **span)
        return dg.MaterializeResult(metadata={**describe_frame(pl.concat(frames), table), **lineage_metadata(model)})

    return of_all_markets


def _of_everything(model: SqlModel) -> dg.AssetsDefinition:
    table = TABLES[model.name]

    @_asset(model, automation_condition=dg.AutomationCondition.eager())
    def of_everything(
        settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
    ) -> dg.MaterializeResult[None]:
        frame = run_model(store, model, **_given(model, settings))
        store.replace(table, frame, where={})
        return dg.MaterializeResult(metadata={**describe_frame(frame, table), **lineage_metadata(model)})

    return of_everything


def sql_model_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """An asset for every SQL model but those of the bars."""
    return [model_asset(model, settings) for model in project_models(settings).values() if model.timeframe is None]
