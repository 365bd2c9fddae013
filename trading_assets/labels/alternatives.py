"""Other outcomes than the triple barrier's: forward returns, trend scanning, and whether a rule's bet pays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels.barriers import triple_barrier
from trading_assets.labels.checks import check_bars, check_until
from trading_assets.settings import LabelSettings

MIN_SPAN = 3
"""A line through two points fits exactly and has no t-value."""

PERFECT = 1e6
"""The t-value of a perfect fit."""

KEYS = ("market", "ts", "known_at")


def forward_return(bars: pl.DataFrame, *, horizon_bars: int, timeframe: Timeframe, until: datetime) -> pl.DataFrame:
    """The return from a bar's close to the close ``horizon_bars`` later.

    Parameters
    ----------
    bars
        Bars of one market: ``market, ts, known_at, close``, ascending.
    horizon_bars, timeframe
        In bars of the timeframe: of time, not of rows, so that a gap does not lengthen it.
    until
        Up to when the bars are complete.

    Returns
    -------
    polars.DataFrame
        ``market, ts, known_at, label_end, return`` (fraction), ``label`` (Int8: the return's sign). A bar whose horizon
        does not end by ``until``, or that has no bar ending there, has no row.

    Raises
    ------
    InvalidFrame
        Columns or order of ``bars`` are wrong.
    SettingsError
        If the horizon is not positive, or ``until`` has no time zone.
    """
    check_bars(bars, (*KEYS, "close"), "bars")
    check_until(until, where="forward return")
    if horizon_bars < 1:
        raise SettingsError(f"a horizon of {horizon_bars} bars", where="forward return", remedy="1 or more")
    later = bars.select(label_end="known_at", later="close").unique("label_end", keep="last")
    return (
        bars.select(*KEYS, "close", label_end=pl.col("known_at") + horizon_bars * timeframe.length)
        .filter(pl.col("label_end") <= until)
        .join(later, on="label_end", how="inner", maintain_order="left")
        .with_columns((pl.col("later") / pl.col("close") - 1).alias("return"))
        .select(*KEYS, "label_end", "return", label=pl.col("return").sign().cast(pl.Int8))
    )


def trend_scanning(bars: pl.DataFrame, *, spans: Sequence[int], until: datetime) -> pl.DataFrame:
    """The sign of the most significant trend that begins with each bar.

    For every span a line is fitted (least squares) to the log closes of the next so many bars; the span whose slope has
    the largest absolute t-value wins, the shortest of equals. Source: M. López de Prado, *Machine Learning for Asset
    Managers* (2020), section 5.4. Closes are taken row by row: put a bar in for each missing one, or the slope ignores
    the gap.

    Parameters
    ----------
    bars
        As for :func:`forward_return`.
    spans
        Numbers of bars to try, the first one included, each at least 3, e.g. ``range(5, 25)``.
    until
        Up to when the bars are complete: a bar has a row only where the longest span ends by then, or the newest rows
        would all have short trends.

    Returns
    -------
    polars.DataFrame
        ``market, ts, known_at, label_end`` (when the longest span's last bar was known: until then a longer trend may
        still win, and the book ends its labels there too, against leakage), ``span`` (Int32: bars of the winner),
        ``t_value`` (Float64; at most 1e6 where the fit is perfect, 0 for a flat market), ``return`` (first to last
        close of the winner) and ``label`` (Int8: the slope's sign).

    Raises
    ------
    InvalidFrame
        Columns or order of ``bars`` are wrong.
    SettingsError
        If there is no span, one is shorter than 3, or ``until`` has no time zone.
    """
    check_bars(bars, (*KEYS, "close"), "bars")
    check_until(until, where="trend scanning")
    if not spans or min(spans) < MIN_SPAN:
        raise SettingsError(
            f"spans {list(spans)}", where="trend scanning", remedy=f"one or more of at least {MIN_SPAN}"
        )
    known = bars.filter(pl.col("known_at") <= until).with_columns(pl.col("close").cast(pl.Float64))
    rows = known.height - max(spans) + 1
    if rows < 1:
        return (
            known.head(0)
            .select(
                *KEYS, label_end="known_at", span=pl.lit(0, pl.Int32), t_value=pl.lit(0.0), **{"return": pl.lit(0.0)}
            )
            .with_columns(label=pl.lit(0, pl.Int8))
        )
    from trading_assets.labels.kernels import trends  # compiled on first use

    span, t_value = trends(known["close"].log().to_numpy(), np.array(sorted(spans), dtype=np.int64), PERFECT)
    close = known["close"].to_numpy()
    return (
        known.head(rows)
        .select(KEYS)
        .with_columns(
            known["known_at"].tail(rows).alias("label_end"),
            pl.Series("span", span, dtype=pl.Int32),
            pl.Series("t_value", t_value),
            pl.Series("return", close[np.arange(rows) + span - 1] / close[:rows] - 1),
            pl.Series("label", np.sign(t_value), dtype=pl.Int8),
        )
    )


def meta_labels(
    bars: pl.DataFrame,
    candles: pl.DataFrame,
    *,
    candle_timeframe: str,
    settings: LabelSettings,
    until: datetime,
) -> pl.DataFrame:
    """Whether the bets of a primary rule pay: what a second model learns that decides to take or to pass them.

    Source: M. López de Prado, *Advances in Financial Machine Learning* (2018), section 3.6.

    Parameters
    ----------
    bars, candles, candle_timeframe, settings, until
        As for :func:`~trading_assets.labels.triple_barrier`; ``bars`` must have the rule's ``side``: 1 long, -1 short,
        0 no bet.

    Returns
    -------
    polars.DataFrame
        Rows of the ``labels`` table for the bets, and ``meta`` (Int8): 1 where the bet earned more than its costs.

    Raises
    ------
    InvalidFrame
        If ``bars`` has no ``side``, or columns and order are wrong.
    """
    if "side" not in bars.columns:
        raise InvalidFrame("no column side", where="labels: bars", remedy="say what the primary rule bets: 1, -1 or 0")
    labels = triple_barrier(bars, candles, candle_timeframe=candle_timeframe, settings=settings, until=until)
    return labels.with_columns(meta=(pl.col("return") > 0).cast(pl.Int8))
