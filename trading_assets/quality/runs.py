"""Stretches in which nothing happens: prices that stand still, bars without a trade."""

from __future__ import annotations

import polars as pl

from trading_assets.core.candles import PRICES, timeframe_delta
from trading_assets.quality.finding import Finding


def frozen_prices(candles: pl.DataFrame, *, timeframe: str, max_bars: int) -> Finding:
    """Find runs of bars whose open, high, low and close are one and the same price.

    A gap ends a run: what happened inside it nobody knows.

    Parameters
    ----------
    candles
        ``ts`` and the four prices, by ascending ``ts``.
    timeframe
        Of the candles.
    max_bars
        The longest run that is not reported.

    Returns
    -------
    Finding
        One row per run: ``ts`` of its first bar, ``end`` (its last bar), ``bars``, ``price``.
    """
    flat = pl.all_horizontal(pl.col(name) == pl.col("close") for name in PRICES)
    same = flat & (pl.col("close") == pl.col("close").shift())
    runs = _runs(candles, flat, same, timeframe, max_bars, price=pl.col("close").first())
    what = pl.format("price {} in {} bars from {}, limit {}", "price", "bars", _minute(), pl.lit(max_bars))
    return Finding(_told(runs, what), f"no price stands still for more than {max_bars} bars")


def zero_volume(candles: pl.DataFrame, *, timeframe: str, max_bars: int) -> Finding:
    """Find runs of bars in which nothing was traded.

    Parameters and result as in :func:`frozen_prices`, with ``volume`` instead of prices.
    """
    none = pl.col("volume") == 0
    runs = _runs(candles, none, none, timeframe, max_bars)
    what = pl.format("no trade in {} bars from {}, limit {}", "bars", _minute(), pl.lit(max_bars))
    return Finding(_told(runs, what), f"no stretch without trades is longer than {max_bars} bars")


def _runs(
    candles: pl.DataFrame, first: pl.Expr, further: pl.Expr, timeframe: str, max_bars: int, **kept: pl.Expr
) -> pl.DataFrame:
    """Runs of more than ``max_bars`` bars: of one that satisfies ``first`` and others that satisfy ``further``."""
    bar = timeframe_delta(timeframe)
    follows = pl.col("ts").diff() == bar
    marked = candles.with_columns(__in=first.fill_null(False), __goes_on=(further & follows).fill_null(False))
    inside = marked.filter(pl.col("__in"))
    return (
        inside.with_columns(__run=(~pl.col("__goes_on")).cum_sum())
        .group_by("__run")
        .agg(pl.col("ts").first(), end=pl.col("ts").last(), bars=pl.len(), **kept)
        .filter(pl.col("bars") > max_bars)
        .drop("__run")
    )


def _told(runs: pl.DataFrame, what: pl.Expr) -> pl.DataFrame:
    return runs.sort("bars", "ts", descending=[True, False]).select("ts", what.alias("what"), pl.exclude("ts"))


def _minute() -> pl.Expr:
    return pl.col("ts").dt.to_string("%Y-%m-%d %H:%M")
