"""The triple-barrier label: take-profit, stop-loss or the end of the horizon, whichever comes first.

Source: M. López de Prado, *Advances in Financial Machine Learning* (2018), chapter 3. The first touch is looked for on
the finest candles stored, not on the bars that the model sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from trading_assets.core.candles import EPOCH, PRICES, timeframe_delta
from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.core.sides import Side
from trading_assets.labels.barrier_distances import learnt_plan, scale_lookback, widths
from trading_assets.labels.checks import check_bars, check_timeframe, check_until
from trading_assets.labels.exits import exits
from trading_assets.labels.plan_exits import plan_exits
from trading_assets.labels.plan_units import units
from trading_assets.settings import DEFAULT_LABELS, LabelSettings
from trading_assets.store.tables import LABELS


def triple_barrier(
    bars: pl.DataFrame,
    candles: pl.DataFrame,
    *,
    candle_timeframe: str,
    settings: LabelSettings,
    until: datetime,
    keep_ambiguous: bool = False,
    sides: Sequence[Side] = (Side.LONG,),
    label_set: str = DEFAULT_LABELS,
) -> pl.DataFrame:
    """Label each bar with the barrier that an entry at ``known_at`` touches first.

    Entry is the open of the candle that opens at ``known_at``. A candle touches a barrier where its high or low reaches
    it. A candle that *opens* beyond a barrier exits at that open, so ``return`` may exceed the barrier. Without
    a touch the exit is the close of the last candle that opened within the horizon. Nothing is filled where candles are
    missing; ``missing_candles`` counts them from the entry to ``label_end``: a barrier may have been touched unseen.

    With ``barriers: plan`` first target and stop are the barriers, and the trade goes on to the end of its last part,
    when the label is known; see :mod:`trading_assets.labels.plan_exits`.

    Parameters
    ----------
    bars
        Bars of one market, of the set's timeframe: ``market, ts, known_at``, ascending; ``high, low, close`` too where
        the barriers are scaled. A column ``side`` (1 long, -1 short, 0 or null no bet) says what is entered, decided
        from what was known at ``known_at``; without it, each of ``sides`` is.
    candles
        The finest candles of that market: ``ts, open, high, low, close``, ascending, from the first ``known_at`` to
        ``until``.
    candle_timeframe
        The candles' timeframe, e.g. ``1m``; that of the bars is a multiple of it.
    settings
        Timeframe, barriers, the horizon in bars, costs, the policy for ambiguous candles.
    until
        Up to when the candles are complete (UTC): only bars whose whole horizon ends by then get a label, also where a
        barrier was touched earlier. Otherwise the newest labels would all be quick touches.
    sides
        What is entered at each bar, where the bars do not say it.
    label_set
        The set's name.

    Returns
    -------
    polars.DataFrame
        Rows of the ``labels`` table, by ts, long before short. A bar has none whose entry candle is missing (see
        :func:`missing_entries`), whose barriers are still warming up, or which is no bet; neither has an ambiguous one
        where the policy is ``drop``.

    Raises
    ------
    InvalidFrame
        Columns or order of ``bars`` or ``candles`` are wrong, a price is not a positive number, or a side is none.
    SettingsError
        If the candles' timeframe does not divide that of the bars, or ``until`` has no time zone.
    """
    if not settings.timeframe.is_built_from(candle_timeframe):  # the last candle would reach beyond the horizon
        raise SettingsError(
            f"candles of {candle_timeframe} do not end where bars of {settings.timeframe} end",
            where="labels: candles",
            remedy="give finer ones, which divide it",
        )
    bets = "side" in bars.columns
    bars = _with_barriers(bars, candle_timeframe, settings, until)
    if len(sides) > 1 and not bets:
        bars = pl.concat(bars.with_columns(side=pl.lit(int(side), pl.Int8)) for side in sides).sort(
            "known_at", maintain_order=True
        )
    elif not bets:
        bars = bars.with_columns(side=pl.lit(int(sides[0]), pl.Int8))
    check_bars(candles, ("ts", *PRICES), "candles")
    check_timeframe(candles, candle_timeframe, where="labels: candles")
    follow = plan_exits if settings.barriers == "plan" else exits
    labels = (
        bars.hstack(follow(bars, candles, timeframe=candle_timeframe, settings=settings))
        .filter(pl.col("barrier").is_not_null())
        .with_columns(
            label_set=pl.lit(label_set), timeframe=pl.lit(settings.timeframe.name), resolution=pl.lit(candle_timeframe)
        )
        .select(pl.col(name).cast(dtype) for name, dtype in LABELS.columns.items())
    )
    if not labels["ts"].is_sorted():
        labels = labels.sort("ts", maintain_order=True)
    return labels.filter(~pl.col("ambiguous")) if settings.ambiguous == "drop" and not keep_ambiguous else labels


def missing_entries(
    bars: pl.DataFrame, candles: pl.DataFrame, *, candle_timeframe: str, settings: LabelSettings, until: datetime
) -> pl.DataFrame:
    """The bars that get no label because the candle to enter on is missing: ``market, ts, known_at``."""
    bars = _with_barriers(bars, candle_timeframe, settings, until)
    return (
        bars.select("market", "ts", "known_at")
        .join(candles.select(known_at="ts"), on="known_at", how="anti", maintain_order="left")
        .sort("ts")
    )


def label_window(start: datetime, end: datetime, *, settings: LabelSettings) -> tuple[datetime, datetime]:
    """The bars that the label partition ``[start, end)`` holds: ``first <= ts < last``.

    A partition holds the bars whose horizon ends within it, so that it needs no candle after its end and partitions
    run one by one or all at once give the same table. In terms of the bar's open: ``start - horizon <= ts < end -
    horizon``. The candles needed are those from ``first`` to ``end``.
    """
    return start - _horizon(settings), end - _horizon(settings)


def _horizon(settings: LabelSettings) -> timedelta:
    return settings.horizon_bars * settings.timeframe.length


def _with_barriers(bars: pl.DataFrame, timeframe: str, settings: LabelSettings, until: datetime) -> pl.DataFrame:
    """The bars that can be entered on and whose horizon ends in time, with ``side`` and the barriers' distances."""
    needed = () if scale_lookback(settings) == 1 else ("high", "low", "close")
    check_bars(bars, ("market", "ts", "known_at", *needed), "bars")
    check_until(until, where="labels")
    chosen = bars.select("market", "ts", "known_at", _side(bars)).hstack(widths(bars, settings))
    if settings.barriers == "plan":
        chosen = chosen.hstack([units(bars, learnt_plan(settings))])
    newest = until - _horizon(settings)
    ended = chosen["known_at"].search_sorted(newest - (newest - EPOCH) % timeframe_delta(timeframe), side="right")
    return chosen.head(ended).filter(pl.col("take_profit").is_not_null(), pl.col("side") != 0)


def _side(bars: pl.DataFrame) -> pl.Expr:
    if "side" not in bars.columns:
        return pl.lit(1, pl.Int8).alias("side")
    bets = bars["side"].drop_nulls()
    if not bets.dtype.is_numeric() or not bets.cast(pl.Float64).is_in([-1.0, 0.0, 1.0]).all():
        raise InvalidFrame(
            f"a side is not 1, -1 or 0: {bets.dtype}, e.g. {bets.unique().head(5).to_list()}",
            where="labels: bars",
            remedy="1 is long, -1 short, 0 or null no bet; how much is no part of it",
        )
    return pl.col("side").cast(pl.Int8)
