"""The triple-barrier label: take-profit, stop-loss or the end of the horizon, whichever comes first.

Source: M. López de Prado, *Advances in Financial Machine Learning* (2018), chapter 3. The first touch is looked for on
the finest candles stored, not on the bars that the model sees.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from trading_assets.candles import PRICES, TS
from trading_assets.errors import InvalidFrame
from trading_assets.labels.exits import BAR, exits
from trading_assets.labels.widths import widths
from trading_assets.settings import LabelSettings
from trading_assets.store.tables import LABELS


def triple_barrier(
    bars: pl.DataFrame,
    candles: pl.DataFrame,
    *,
    candle_timeframe: str,
    settings: LabelSettings,
    until: datetime,
) -> pl.DataFrame:
    """Label each bar with the barrier that an entry at ``known_at`` touches first.

    Entry is the open of the candle that opens at ``known_at``. A candle touches a barrier where its high or low reaches
    it. A candle that *opens* beyond a barrier exits at that open, so ``return`` may exceed the barrier. Without a touch
    the exit is the close of the last candle that opened within the horizon. Nothing is filled where candles are
    missing; ``missing_candles`` counts them from the entry to ``label_end``: a barrier may have been touched unseen.

    Parameters
    ----------
    bars
        Bars of 15 minutes of one market: ``market, ts, known_at``, ascending; ``high, low, close`` too where the
        barriers are scaled. A column ``side`` (1 long, -1 short, 0 no bet) says what is entered; without it, long.
    candles
        The finest candles of that market: ``ts, open, high, low, close``, ascending, from the first ``known_at`` to
        ``until``.
    candle_timeframe
        The candles' timeframe, e.g. ``1m``.
    settings
        Barriers, the horizon in bars of 15 minutes, costs, the policy for ambiguous candles.
    until
        Up to when the candles are complete: only bars whose whole horizon ends by then get a label, also where a
        barrier was touched earlier. Otherwise the newest labels would all be quick touches.

    Returns
    -------
    polars.DataFrame
        Rows of the ``labels`` table. A bar has none whose entry candle is missing (see :func:`missing_entries`), whose
        barriers are still warming up, or which is no bet; neither has an ambiguous one where the policy is ``drop``.

    Raises
    ------
    InvalidFrame
        Columns or order of ``bars`` or ``candles`` are wrong, or a price is not a positive number.
    """
    bars = _with_barriers(bars, settings, until)
    check_bars(candles, ("ts", *PRICES), "candles")
    labels = (
        bars.hstack(exits(bars, candles, timeframe=candle_timeframe, settings=settings))
        .filter(pl.col("barrier").is_not_null())
        .with_columns(resolution=pl.lit(candle_timeframe))
        .select(pl.col(name).cast(dtype) for name, dtype in LABELS.columns.items())
    )
    return labels.filter(~pl.col("ambiguous")) if settings.ambiguous == "drop" else labels


def missing_entries(
    bars: pl.DataFrame, candles: pl.DataFrame, *, settings: LabelSettings, until: datetime
) -> pl.DataFrame:
    """The bars that get no label because the candle that opens at ``known_at`` is missing: ``market, ts, known_at``."""
    bars = _with_barriers(bars, settings, until).select("market", "ts", "known_at")
    return bars.join(candles.select(known_at="ts"), on="known_at", how="anti", maintain_order="left")


def label_window(start: datetime, end: datetime, *, settings: LabelSettings) -> tuple[datetime, datetime]:
    """The bars that the label partition ``[start, end)`` holds: ``first <= ts < last``.

    A partition holds the bars whose horizon ends within it, so that it needs no candle after its end and partitions
    run one by one or all at once give the same table. In terms of the bar's open: ``start - horizon <= ts < end -
    horizon``. The candles needed are those from ``first`` to ``end``.
    """
    return start - _horizon(settings), end - _horizon(settings)


def _horizon(settings: LabelSettings) -> timedelta:
    return settings.horizon_bars * BAR


def _with_barriers(bars: pl.DataFrame, settings: LabelSettings, until: datetime) -> pl.DataFrame:
    """The bars that can be entered on and whose horizon ends in time, with ``side`` and the barriers' distances."""
    needed = () if settings.barriers == "fixed" else ("high", "low", "close")
    check_bars(bars, ("market", "ts", "known_at", *needed), "bars")
    side = pl.col("side").cast(pl.Int8) if "side" in bars.columns else pl.lit(1, pl.Int8)
    ended = bars["known_at"].search_sorted(until - _horizon(settings), side="right")
    return (
        bars.select("market", "ts", "known_at", side.alias("side"))
        .hstack(widths(bars, settings))
        .head(ended)
        .filter(pl.col("take_profit").is_not_null(), pl.col("side") != 0)
    )


def check_bars(frame: pl.DataFrame, columns: tuple[str, ...], name: str) -> None:
    """Raise ``InvalidFrame``: columns missing, times of another type or not ascending, prices not positive numbers."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InvalidFrame(f"no column {', '.join(missing)}", where=f"labels: {name}")
    for column in columns:
        if column in ("ts", "known_at") and frame.schema[column] != TS:
            raise InvalidFrame(
                f"{column} is {frame.schema[column]}", where=f"labels: {name}", remedy="make it Datetime(us, UTC)"
            )
    for column, least, how in (("ts", 1, "strictly ascending"), ("known_at", 0, "ascending")):
        times = frame[column].to_physical().to_numpy() if column in columns else np.empty(0)
        if (times[1:] < times[:-1] + least).any():
            raise InvalidFrame(
                f"{column} is not {how}", where=f"labels: {name}", remedy="give one market, sorted and unique by ts"
            )
    for column in (column for column in columns if column in PRICES):
        prices = frame[column].to_numpy()
        if len(prices) and not (prices.min() > 0 and prices.max() < np.inf):  # both are NaN where one is
            raise InvalidFrame(
                f"{column} is not a positive number everywhere",
                where=f"labels: {name}",
                remedy="leave such candles out: a missing candle touches nothing",
            )
