"""Candles beside a clock and beside a second exchange."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.quality.finding import NOTHING, Finding


def from_the_future(candles: pl.DataFrame, *, timeframe: str, now: datetime, tolerance_s: float) -> Finding:
    """Find candles whose bar has not ended at ``now``: some clock is wrong, or an unfinished bar was stored."""
    ahead = pl.col("ts") + timeframe_delta(timeframe) - pl.lit(now).dt.cast_time_unit("us")
    found = candles.select("ts", ahead_s=ahead.dt.total_milliseconds() / 1000).filter(pl.col("ahead_s") > tolerance_s)
    what = pl.format(
        "the bar of {} ends {} s after the present time, limit {} s",
        pl.col("ts").dt.to_string("%Y-%m-%d %H:%M"),
        "ahead_s",
        pl.lit(f"{tolerance_s:g}"),
    )
    rows = found.sort("ahead_s", descending=True).select("ts", what.alias("what"), "ahead_s")
    return Finding(rows, "no bar ends in the future")


def stale(
    candles: pl.DataFrame, *, timeframe: str, start: datetime, end: datetime, now: datetime, max_delay: timedelta
) -> Finding:
    """Find out whether the newest candle of a window that is still going on is older than it may be.

    A bar of the timeframe may be under way, so ``max_delay`` counts from one bar after the newest one's end. Windows
    that have ended are always fresh.
    """
    if not start <= now < end:
        return Finding(good="the months of this run have ended")
    bar = timeframe_delta(timeframe)
    newest = candles["ts"].filter(candles["ts"] < end).max()
    known = newest + bar if isinstance(newest, datetime) else start
    delay = now - known - bar
    if delay <= max_delay:
        return Finding(good=f"candles are known until {known:%Y-%m-%d %H:%M}")
    minutes, limit = delay / timedelta(minutes=1), max_delay / timedelta(minutes=1)
    what = f"no candle after {known:%Y-%m-%d %H:%M}: {minutes:,.0f} minutes late, limit {limit:,.0f}"
    at = max(start, min(known, end - timedelta(microseconds=1)))
    rows = pl.DataFrame({"ts": [at], "what": [what], "delay_minutes": [minutes]})
    return Finding(rows.with_columns(pl.col("ts").cast(NOTHING.schema["ts"])))


def deviating(candles: pl.DataFrame, second: pl.DataFrame, *, name: str, max_bps: float, bars: int) -> Finding:
    """Find stretches in which closes and those of a second exchange are further apart than they may be.

    Parameters
    ----------
    candles, second
        ``ts`` and ``close`` of both markets, by ascending ``ts``; only common times are compared.
    name
        The second market, for the messages.
    max_bps
        The greatest deviation, in basis points of the second's close, that is not reported.
    bars
        The median of so many bars must deviate (that of a bar, of those before and those after it).

    Returns
    -------
    Finding
        One row per stretch: ``ts``, ``end`` (its last bar), ``bars``, ``deviation_bps`` (the greatest, signed).
    """
    both = candles.select("ts", "close").join(second.select("ts", other="close"), on="ts", how="inner")
    if both.is_empty():
        if candles.is_empty():
            return Finding(good="no candle to compare")
        nothing = pl.lit(f"no candle of {name} at any of these times: backfill it over the same months")
        return Finding(candles.select("ts").head(1).with_columns(what=nothing))
    apart = (pl.col("close") / pl.col("other") - 1) * 1e4
    smooth = both.sort("ts").select("ts", bps=apart.rolling_median(bars, center=True, min_samples=1))
    wide = pl.col("bps").abs() > max_bps
    rows = (
        smooth.with_columns(run=wide.rle_id())
        .filter(wide)
        .group_by("run")
        .agg(
            pl.col("ts").first(),
            end=pl.col("ts").last(),
            bars=pl.len(),
            deviation_bps=pl.col("bps").get(pl.col("bps").abs().arg_max()),
        )
        .sort(pl.col("deviation_bps").abs(), "ts", descending=[True, False])
    )
    what = pl.format(
        "{} bps from {} in {} bars from {}, limit {}",
        pl.col("deviation_bps").round(1),
        pl.lit(name),
        "bars",
        pl.col("ts").dt.to_string("%Y-%m-%d %H:%M"),
        pl.lit(f"{max_bps:g}"),
    )
    worst = float(smooth.select(pl.col("bps").abs().max()).item())
    good = f"at most {worst:.1f} bps from {name} over {both.height:,} common candles, limit {max_bps:g}"
    return Finding(rows.select("ts", what.alias("what"), "end", "bars", "deviation_bps"), good)
