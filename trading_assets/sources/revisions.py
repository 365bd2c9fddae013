"""Candles that a source later gives with other values: the old and the new ones are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from trading_assets.candles import OHLCV
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_REVISIONS, CANDLES

_VALUES = [f"{when}_{column}" for when in ("old", "new") for column in OHLCV]


def record_revisions(store: Store, good: pl.DataFrame, *, source: str, now: datetime) -> int:
    """Note which stored candles the given ones differ from; call it before they are written.

    The note comes first, so that a process killed between the two writes loses nothing: the run after it finds the
    same difference, and the note that is there already.

    Parameters
    ----------
    good
        Rows of the ``candles`` table, of one market and timeframe, ascending.
    source
        Who gave them.
    now
        When they were fetched.

    Returns
    -------
    int
        How many stored candles are about to get other values.
    """
    if good.is_empty():
        return 0
    where = {"market": good["market"][0], "timeframe": good["timeframe"][0]}
    start, end = good["ts"][0], good["ts"][-1] + timedelta(microseconds=1)
    stored = store.read(CANDLES, where=where, start=start, end=end, columns=["ts", *OHLCV])
    if stored.is_empty():
        return 0
    pairs = good.join(stored, on="ts", how="inner", suffix="_stored")
    changed = pairs.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_stored") for name in OHLCV))
    if changed.is_empty():
        return 0
    rows = changed.select(
        "market",
        "timeframe",
        "ts",
        pl.lit(now).dt.cast_time_unit("us").alias("seen_at"),
        pl.lit(source).alias("source"),
        *(pl.col(f"{name}_stored").alias(f"old_{name}") for name in OHLCV),
        *(pl.col(name).alias(f"new_{name}") for name in OHLCV),
    )
    noted = store.read(CANDLE_REVISIONS, where=where, start=start, end=end)
    newest = noted.sort("seen_at").group_by("ts").last().select("ts", *_VALUES)
    store.upsert(CANDLE_REVISIONS, rows.join(newest, on=["ts", *_VALUES], how="anti"))
    return changed.height
