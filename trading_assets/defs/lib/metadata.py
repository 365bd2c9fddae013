"""What the UI shows about an asset: column schemas, row counts, ranges, previews, pictures, and what is synthetic."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import dagster as dg
import polars as pl
import polars.selectors as cs

from trading_assets.core.candles import TS, Market
from trading_assets.defs.lib.partitions import Window
from trading_assets.features import Feature
from trading_assets.settings import Settings
from trading_assets.store.tables import Schema, Table

DATA_TEAM: Final = "team:data"
RESEARCH_TEAM: Final = "team:research"
TRADING_TEAM: Final = "team:trading"
SYNTHETIC: Final = "SYNTHETIC: made by the sample source, no market ever traded it"

Metadata = dict[str, Any]


def column_schema(table: Table, *, features: Mapping[str, Feature] = MappingProxyType({})) -> dg.TableSchema:
    """The table's columns with types and notes; ``features`` are the Float64 columns of an open-ended table."""
    columns: Schema = {**table.columns, **dict.fromkeys(features, pl.Float64)}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                _type_name(dtype),
                _feature_note(features[name]) if name in features else table.note(name),
                constraints=dg.TableColumnConstraints(
                    nullable=name not in table.key and (name not in features or features[name].nullable)
                ),
                tags={"key": ""} if name in table.key else {},
            )
            for name, dtype in columns.items()
        ],
        constraints=dg.TableConstraints(other=[f"unique: {', '.join(table.key)}"]),
    )


def _feature_note(feature: Feature) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in (feature.low, feature.high))
    bounds = f", {low or 'no bound'} to {high or 'no bound'}" if low or high else ""
    return f"{feature.description} ({feature.unit}{bounds}; the last {feature.lookback:,} bars)"


def _type_name(dtype: pl.DataType | type[pl.DataType]) -> str:
    return "Datetime[us, UTC]" if dtype == TS else str(dtype)


def asset_metadata(table: Table, *, features: Mapping[str, Feature] = MappingProxyType({})) -> Metadata:
    """What is known about a table before any run: its name, what a row means, its columns."""
    return {
        "dagster/table_name": table.name,
        "dagster/column_schema": column_schema(table, features=features),
        "row": table.row,
    }


def synthetic_markets(markets: Iterable[str]) -> list[str]:
    """Those of the markets whose candles are made up."""
    return sorted(market for market in set(markets) if Market.parse(market).is_synthetic)


def origin(markets: Iterable[str]) -> Metadata:
    """A ``data`` entry that says which markets are synthetic; empty where none is."""
    made_up = synthetic_markets(markets)
    return {"data": f"{SYNTHETIC} ({', '.join(made_up)})"} if made_up else {}


def origin_tags(settings: Settings) -> dict[str, str]:
    """The tag ``data: synthetic`` where every market is."""
    return {"data": "synthetic"} if len(synthetic_markets(settings.markets)) == len(settings.markets) else {}


def preview(frame: pl.DataFrame, *, rows: int = 5) -> dg.MarkdownMetadataValue:
    """The last rows as a table: names and values, numbers with four significant digits."""
    frame = frame.tail(rows).with_columns(cs.float().map_elements(_short, return_dtype=pl.String))
    with pl.Config(
        tbl_formatting="MARKDOWN",
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_hide_dtype_separator=True,
        tbl_cols=-1,
        tbl_rows=rows,
        fmt_str_lengths=80,
        tbl_width_chars=10_000,
    ):
        return dg.MetadataValue.md(str(frame))


def _short(value: float) -> str:
    """Four significant digits, never fewer than stand before the point: 102345, 0.01235, 8.123e-09."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits = max(4, math.floor(math.log10(abs(value))) + 1)
    return f"{value:.{min(digits, 15)}g}"


def picture(image: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG, inline."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(image).decode()})")


def describe_frame(frame: pl.DataFrame, table: Table) -> Metadata:
    """Row count, range and preview of a small table."""
    found: Metadata = {"dagster/row_count": frame.height, "preview": preview(frame)}
    if table.time and frame.height:
        times = frame[table.time]
        found |= {"first": str(times.min()), "last": str(times.max())}
    return found


def describe_partitions(
    context: dg.AssetExecutionContext,
    table: Table,
    parts: Iterable[tuple[Window, pl.DataFrame]],
    *,
    shift: timedelta | pl.Expr = timedelta(),
) -> Metadata:
    """What a run stored: rows per partition (set on each partition), range, preview, origin.

    Parameters
    ----------
    context
        Receives ``dagster/row_count`` of every partition, so that each shows its own number.
    table
        The table that was written.
    parts
        Windows and their stored rows; rows outside the window are not counted.
    shift
        A row belongs to the month of its time plus this.
    """
    total, markets, sample = 0, set(), pl.DataFrame()
    first: datetime | None = None
    last: datetime | None = None
    for window, frame in parts:
        markets.add(window.market)
        times = frame.select(pl.col(table.time) + shift).to_series()
        for month in window.months:
            rows = int(((times >= month.start) & (times < month.end)).sum())
            context.add_asset_metadata({"dagster/row_count": rows}, asset_key=table.name, partition_key=month.key)
            total += rows
        if frame.height:
            begin, end = frame[table.time].min(), frame[table.time].max()
            assert isinstance(begin, datetime)
            assert isinstance(end, datetime)
            first, last = min(first or begin, begin), max(last or end, end)
            sample = frame.tail(5)
    found: Metadata = {**origin(markets), "rows_in_run": total, "preview": preview(sample)}
    return found if first is None else {**found, "first": str(first), "last": str(last)}


def measured(metrics: Mapping[str, float]) -> dict[str, float]:
    """The numbers among the metrics: one that could not be measured is NaN, which the UI cannot show."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
