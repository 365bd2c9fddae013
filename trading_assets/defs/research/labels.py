"""Labels: what happened after each bar, by each label set that a model learns, on the finest candles stored."""

import hashlib
import json

import dagster as dg
import polars as pl

from trading_assets.defs.lib.metadata import (
    RESEARCH_TEAM,
    asset_metadata,
    describe_partitions,
    origin_tags,
    picture,
    preview,
)
from trading_assets.defs.lib.partitions import Partitions, Window, label_reach, look_back, windows
from trading_assets.defs.lib.recomputed_rows import bar_start, known_until, made_anew, resume_at
from trading_assets.defs.research.label_picture import label_distribution
from trading_assets.defs.sql_models.bars import FOLLOWS_DATA
from trading_assets.labels import fingerprint, label, label_of, label_window, lookback_bars, without_entry
from trading_assets.labels.summary import outcomes
from trading_assets.settings import LabelSettings, Settings
from trading_assets.settings.demand import asked_timeframes, label_sets_of, sides_of
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, CANDLES, LABELS


def code_version(settings: Settings) -> str:
    """Of the code and the settings that make labels: months made by others are refused by what reads them."""
    sets = {
        name: (
            labels.model_dump(mode="json"),
            label_of(labels).version(),
            [sides_of(settings, market, name) for market in settings.markets],
        )
        for name, labels in settings.labels.items()
    }
    return hashlib.sha256(f"{fingerprint()}{json.dumps(sets)}".encode()).hexdigest()[:12]


def labels_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the markets, months and label sets of a project."""
    reach = max(label_reach(one) for one in settings.labels.values())
    return dg.asset(
        deps=[
            *(
                dg.AssetDep(BARS[one.name].name, partition_mapping=look_back(reach))
                for one in asked_timeframes(settings)
            ),
            dg.AssetDep(CANDLES.name, partition_mapping=look_back(reach)),
        ],
        group_name="labels",
        owners=[RESEARCH_TEAM],
        kinds={"polars", "duckdb"},
        tags=origin_tags(settings),
        code_version=code_version(settings),
        metadata=asset_metadata(LABELS),
        partitions_def=Partitions.of(settings).market_months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOWS_DATA,
    )(labels)


def labels(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """Outcome of each bar in each label set, a row per side: a month holds the bars whose horizon ends in it."""
    parts, without_entry = [], 0
    for window in windows(context.partition_keys, settings):
        rows, missing = write_labels(store, window, settings)
        parts.append((window, rows))
        without_entry += missing
    frame = pl.concat(rows for _, rows in parts)
    horizons = {name: one.horizon for name, one in settings.labels.items()}
    shift = pl.col("label_set").replace_strict(horizons, return_dtype=pl.Duration("us"))
    return dg.MaterializeResult(
        metadata={
            **describe_partitions(context, LABELS, parts, shift=shift),
            "ambiguous_share": float(frame["ambiguous"].mean() or 0.0),  # type: ignore[arg-type]
            "bars_without_entry_candle": without_entry,
            "rows_with_missing_candles": int((frame["missing_candles"] > 0).sum()),
            **(_told(outcomes(frame)) if frame.height else {}),
        }
    )


def _told(found: pl.DataFrame) -> dict[str, dg.MarkdownMetadataValue]:
    """How they came out, as a table and as a picture."""
    return {
        "outcomes": preview(found, rows=found.height),
        "distribution": picture(label_distribution(found), "labels by outcome"),
    }


def write_labels(store: Store, window: Window, settings: Settings) -> tuple[pl.DataFrame, int]:
    """Make the labels of one window anew; its rows, and how many bars had no candle to enter on."""
    made = [
        _write(store, window, settings, name, labels) for name, labels in label_sets_of(settings, window.market).items()
    ]
    empty = pl.DataFrame(schema=LABELS.columns)
    return pl.concat([empty, *(rows for rows, _ in made)]), sum(missing for _, missing in made)


def _write(
    store: Store, window: Window, settings: Settings, name: str, chosen: LabelSettings
) -> tuple[pl.DataFrame, int]:
    """The labels of one set.

    The bars whose horizon ends after the window belong to the next month. They are labelled too, as far as candles are
    stored: what stands there may come from other settings, under which they belonged to this one.
    """
    where, table = {"market": window.market}, BARS[chosen.timeframe.name]
    finest = settings.markets[window.market].timeframe
    since = bar_start(resume_at(store, settings, window.market, window.start), chosen.timeframe.length)
    first, last = label_window(since, window.end, settings=chosen)
    first = max(first, settings.history_start)
    complete = window.end + (window.end - last)
    complete = min(complete, settings.history_end or complete)
    until = known_until(store, window.market, finest, complete) or since
    # close to close, an outcome is read from bars, which reach as far as the candles do
    end = window.end if label_of(chosen).follows_candles else max(window.end, until)
    bars = store.read(table, where=where, start=first, end=end)
    if (warm_up := lookback_bars(chosen) - 1) > 0:
        before = store.tail(table, where=where, before=first, rows=warm_up)
        bars = pl.concat([before.filter(pl.col("ts") >= settings.history_start), bars])
    candles = store.read(CANDLES, where={**where, "timeframe": finest}, start=first, end=until)
    rows = label(
        bars,
        candles,
        label_set=name,
        settings=chosen,
        sides=sides_of(settings, window.market, name),
        candle_timeframe=finest,
        until=until,
    )
    begin, stop = made_anew(window, settings, first, window.end)
    rows = rows.filter(pl.col("ts") >= first, True if stop is None else pl.col("ts") < stop)
    store.replace(LABELS, rows, where={**where, "label_set": name}, start=begin, end=stop)
    own = pl.col("ts").is_between(first, last, closed="left")
    missing = without_entry(bars, candles, candle_timeframe=finest, settings=chosen, until=until)
    return rows.filter(own), missing.filter(own).height
