"""The label of a return: whether the close some bars later pays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels.checks import check_bars, check_until
from trading_assets.labels.kinds.contract import Known, Label, paid
from trading_assets.labels.kinds.registry import register
from trading_assets.settings import ForwardReturnSettings

KEYS = ("market", "ts", "known_at")


@register
class ForwardReturn(Label[ForwardReturnSettings]):
    """Whether the return over the horizon, from close to close, pays its costs."""

    section = ForwardReturnSettings

    def rows(self, known: Known, sides: Sequence[Side]) -> pl.DataFrame:
        """From :func:`forward_return`."""
        settings = self.settings
        found = forward_return(
            known.bars, horizon_bars=settings.horizon_bars, timeframe=settings.timeframe, until=known.until
        )
        return paid(found.with_columns(bars=pl.lit(settings.horizon_bars)), known, settings, sides)


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
