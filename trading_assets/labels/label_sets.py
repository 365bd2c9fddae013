"""A label set of the settings: its outcome of each bar, on each side, as rows of the ``labels`` table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.labels.alternatives import forward_return, trend_scanning
from trading_assets.labels.barrier_distances import widths
from trading_assets.labels.barriers import triple_barrier
from trading_assets.settings import LabelSettings
from trading_assets.store.tables import LABELS


def label(
    bars: pl.DataFrame,
    candles: pl.DataFrame,
    *,
    label_set: str,
    settings: LabelSettings,
    sides: Sequence[Side],
    candle_timeframe: str,
    until: datetime,
) -> pl.DataFrame:
    """What a label set says of each bar.

    Parameters
    ----------
    bars
        Bars of one market, of the set's timeframe, ascending, with those before the first one that its barriers look
        back on.
    candles, candle_timeframe
        The finest candles of the market: which barrier came first is looked for on them.
    label_set, settings
        The set's name and what it asks for.
    sides
        What is entered at each bar.
    until
        Up to when bars and candles are complete.

    Returns
    -------
    polars.DataFrame
        Rows of the ``labels`` table, also the ambiguous ones. Of a return and of a trend, ``label`` is 1 where the side
        earned more than its costs, else -1, from close to close; the barriers are those that a trade on it has.
    """
    if settings.kind == "triple_barrier":
        return triple_barrier(
            bars,
            candles,
            candle_timeframe=candle_timeframe,
            settings=settings,
            until=until,
            keep_ambiguous=True,
            sides=sides,
            label_set=label_set,
        )
    if settings.kind == "forward_return":
        found = forward_return(
            bars, horizon_bars=settings.horizon_bars, timeframe=settings.timeframe, until=until
        ).with_columns(span=pl.lit(settings.horizon_bars, pl.Int32))
    else:
        spans = range(settings.shortest_trend_bars, settings.horizon_bars + 2)  # closes: one more than bars to wait for
        found = trend_scanning(bars, spans=spans, until=until).with_columns(span=pl.col("span") - 1)
    entered = bars.select("ts", entry_price="close").hstack(widths(bars, settings))
    rows = found.join(entered, on="ts", maintain_order="left").filter(pl.col("take_profit").is_not_null())
    return pl.concat(_of_side(rows, side, label_set, settings) for side in sides).sort("ts", maintain_order=True)


def _of_side(rows: pl.DataFrame, side: Side, label_set: str, settings: LabelSettings) -> pl.DataFrame:
    earned = pl.col("return") * int(side) - (settings.cost_bps or 0.0) / 1e4
    return rows.with_columns(
        label_set=pl.lit(label_set),
        timeframe=pl.lit(settings.timeframe.name),
        side=pl.lit(int(side)),
        barrier=pl.lit("time"),
        bars_to_hit="span",
        label=pl.when(earned > 0).then(1).otherwise(-1),
        ambiguous=pl.lit(value=False),
        resolution=pl.lit(settings.timeframe.name),
        missing_candles=pl.lit(None),
        **{"return": earned},
    ).select(pl.col(name).cast(dtype) for name, dtype in LABELS.columns.items())
