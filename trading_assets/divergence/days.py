"""A day's trades beside the backtest's: means of the gap and its parts, held against the limits. Pure frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from trading_assets.settings.sections.divergence import DivergenceSettings
from trading_assets.store.tables import DIVERGENCE_DAYS
from trading_assets.store.tables.outcomes import PARTS


def by_day(divergence: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``divergence_days`` from rows of ``divergence``; the parts of a day add up to its gap, too."""
    live, tested = pl.col("live_exit").is_not_null(), pl.col("backtest_exit").is_not_null()
    rest = pl.col("unexplained_bps")
    return (
        divergence.group_by("node", ts=pl.col("ts").dt.truncate("1d"))
        .agg(
            trades=pl.len().cast(pl.Int64),
            matched=(live & tested).sum().cast(pl.Int64),
            live_only=(live & ~tested).sum().cast(pl.Int64),
            backtest_only=(tested & ~live).sum().cast(pl.Int64),
            gap_bps=pl.col("gap_bps").mean(),
            **{name: pl.col(name).mean() for name in PARTS},
            largest_unexplained_bps=rest.get(rest.abs().arg_max()),
            live_pnl=pl.col("live_pnl").sum(),
        )
        .sort("node", "ts")
        .select(*DIVERGENCE_DAYS.columns)
    )


def problems(days: pl.DataFrame, limits: DivergenceSettings) -> list[str]:
    """What of each day is beyond a limit, in words with value, cause and limit."""
    return [text for row in days.iter_rows(named=True) for text in _of(row, limits)]


def _of(row: Mapping[str, Any], limits: DivergenceSettings) -> list[str]:
    day, found = f"{row['ts']:%Y-%m-%d}", []
    if abs(row["gap_bps"]) > limits.max_gap_bps:
        cause = largest(row)
        found.append(
            f"{day}: {row['gap_bps']:+.1f} bps a trade over {row['trades']}, limit {limits.max_gap_bps:g}; "
            f"most of it {words(cause)} ({row[cause]:+.1f})"
        )
    if abs(row["unexplained_bps"]) > limits.max_unexplained_bps:
        found.append(
            f"{day}: {row['unexplained_bps']:+.2f} bps a trade unexplained, limit {limits.max_unexplained_bps:g}"
        )
    return found


def shortfall(days: pl.DataFrame) -> float | None:
    """How far the newest day's trades are below their backtest, basis points a trade, at least 0; None without one."""
    if days.is_empty():
        return None
    newest = days.filter(pl.col("ts") == pl.col("ts").max())
    mean = newest.select((pl.col("gap_bps") * pl.col("trades")).sum() / pl.col("trades").sum()).item()
    return max(0.0, -float(mean))


def largest(row: Mapping[str, Any]) -> str:
    """The part of a day's or a trade's gap that is most of it, by its column."""
    return max(PARTS, key=lambda part: abs(row[part]))


def words(part: str) -> str:
    """A part's name as it is shown.

    >>> words("fill_price_bps")
    'fill price'
    """
    return part.removesuffix("_bps").replace("_", " ")
