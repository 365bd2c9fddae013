"""The label of a trend: whether the most significant one that begins with a bar pays.

Source: M. López de Prado, *Machine Learning for Asset Managers* (2020), section 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.labels.checks import check_bars, check_until
from trading_assets.labels.kinds.contract import Known, Label, paid
from trading_assets.labels.kinds.registry import register
from trading_assets.settings import TrendScanningSettings

MIN_SPAN = 3
"""A line through two points fits exactly and has no t-value."""

PERFECT = 1e6
"""The t-value of a perfect fit."""

KEYS = ("market", "ts", "known_at")


@register
class TrendScanning(Label[TrendScanningSettings]):
    """Whether the most significant trend within the horizon pays its costs."""

    section = TrendScanningSettings

    def rows(self, known: Known, sides: Sequence[Side]) -> pl.DataFrame:
        """From :func:`trend_scanning`; a trend counts closes, of which there is one more than bars to wait for."""
        settings = self.settings
        spans = range(settings.shortest_trend_bars, settings.horizon_bars + 2)
        found = trend_scanning(known.bars, spans=spans, until=known.until)
        return paid(found.with_columns(bars=pl.col("span") - 1), known, settings, sides)


def trend_scanning(bars: pl.DataFrame, *, spans: Sequence[int], until: datetime) -> pl.DataFrame:
    """The sign of the most significant trend that begins with each bar.

    For every span a line is fitted (least squares) to the log closes of the next so many bars; the span whose slope has
    the largest absolute t-value wins, the shortest of equals. Closes are taken row by row: put a bar in for each
    missing one, or the slope ignores the gap.

    Parameters
    ----------
    bars
        Bars of one market: ``market, ts, known_at, close``, ascending.
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
