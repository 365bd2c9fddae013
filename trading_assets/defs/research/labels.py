"""Labels: which barrier came first after each 15-minute bar, resolved on the finest candles stored."""

import hashlib

import dagster as dg
import polars as pl

from trading_assets.core.candles import DECISION_BAR, DECISION_TIMEFRAME
from trading_assets.defs.lib.metadata import RESEARCH_TEAM, asset_metadata, describe_partitions, origin_tags, picture
from trading_assets.defs.lib.partitions import MARKET_MONTHS, SETTINGS, Window, history_end, look_back, windows
from trading_assets.defs.lib.recomputed_rows import bar_start, known_until, made_anew, resume_at
from trading_assets.defs.research.label_picture import label_distribution
from trading_assets.defs.sql_models.bars import FOLLOWS_DATA
from trading_assets.labels import fingerprint, label_window, missing_entries, scale_lookback, triple_barrier
from trading_assets.settings import LabelSettings, Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, CANDLES, LABELS


def _chosen(settings: Settings) -> LabelSettings:
    return next(iter(settings.labels.values()))


_REACH = look_back((_chosen(SETTINGS).horizon_bars + scale_lookback(_chosen(SETTINGS))) * DECISION_BAR)


def _code_version(settings: Settings) -> str:
    """Of the code and the settings that make labels: months made by others are refused by what reads them."""
    return hashlib.sha256(f"{fingerprint()}{_chosen(settings).model_dump_json()}".encode()).hexdigest()[:12]


@dg.asset(
    deps=[
        dg.AssetDep(BARS[DECISION_TIMEFRAME].name, partition_mapping=_REACH),
        dg.AssetDep(CANDLES.name, partition_mapping=_REACH),
    ],
    group_name="labels",
    owners=[RESEARCH_TEAM],
    kinds={"polars", "duckdb"},
    tags=origin_tags(SETTINGS),
    code_version=_code_version(SETTINGS),
    metadata=asset_metadata(LABELS),
    partitions_def=MARKET_MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    automation_condition=FOLLOWS_DATA,
)
def labels(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """Triple-barrier outcome of each bar: a month holds the bars whose horizon ends in it."""
    parts, without_entry = [], 0
    for window in windows(context.partition_keys, settings):
        rows, missing = write_labels(store, window, settings)
        parts.append((window, rows))
        without_entry += missing
    frame = pl.concat(rows for _, rows in parts)
    horizon = _chosen(settings).horizon_bars * DECISION_BAR
    return dg.MaterializeResult(
        metadata={
            **describe_partitions(context, LABELS, parts, shift=horizon),
            "ambiguous_share": float(frame["ambiguous"].mean() or 0.0),  # type: ignore[arg-type]
            "bars_without_entry_candle": without_entry,
            "rows_with_missing_candles": int((frame["missing_candles"] > 0).sum()),
            **({"distribution": picture(label_distribution(frame), "labels by barrier")} if frame.height else {}),
        }
    )


def write_labels(store: Store, window: Window, settings: Settings) -> tuple[pl.DataFrame, int]:
    """Make the labels of one window anew; its rows, and how many bars had no candle to enter on.

    The bars whose horizon ends after the window belong to the next month. They are labelled too, as far as candles are
    stored: what stands there may come from other settings, under which they belonged to this one.
    """
    where = {"market": window.market}
    finest = settings.markets[window.market].timeframe
    since = bar_start(resume_at(store, settings, window.market, window.start), DECISION_BAR)
    first, last = label_window(since, window.end, settings=_chosen(settings))
    first = max(first, settings.history_start)
    complete = window.end + (window.end - last)
    complete = min(complete, history_end(settings.history) or complete)
    until = known_until(store, window.market, finest, complete) or since
    bars = store.read(BARS[DECISION_TIMEFRAME], where=where, start=first, end=window.end)
    if (warm_up := scale_lookback(_chosen(settings)) - 1) > 0:
        before = store.tail(BARS[DECISION_TIMEFRAME], where=where, before=first, rows=warm_up)
        bars = pl.concat([before.filter(pl.col("ts") >= settings.history_start), bars])
    candles = store.read(CANDLES, where={**where, "timeframe": finest}, start=first, end=until)
    rows = triple_barrier(
        bars, candles, candle_timeframe=finest, settings=_chosen(settings), until=until, keep_ambiguous=True
    )
    rows = rows.filter(pl.col("ts") >= first)
    begin, end = made_anew(window, settings, first, window.end)
    store.replace(LABELS, rows, where=where, start=begin, end=end)
    own = pl.col("ts").is_between(first, last, closed="left")
    missing = missing_entries(bars, candles, candle_timeframe=finest, settings=_chosen(settings), until=until)
    return rows.filter(own), missing.filter(own).height
