"""Candles and payments that a source later gives with other values: the old and the new ones are kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import OHLCV
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_REVISIONS, CANDLES, FUNDING_RATES, FUNDING_REVISIONS, Table

NOTES: Final = {CANDLES.name: (CANDLE_REVISIONS, OHLCV), FUNDING_RATES.name: (FUNDING_REVISIONS, ("rate",))}
"""Table -> where its revisions are noted, and of which columns."""


def record_revisions(store: Store, good: pl.DataFrame, *, source: str, now: datetime, table: Table = CANDLES) -> int:
    """Note which stored rows the given ones differ from; call it before they are written.

    The note comes first, so that a process killed between the two writes loses nothing: the run after it finds the
    same difference, and the note that is there already.

    Parameters
    ----------
    good
        Rows of the table, of one market (and timeframe), ascending.
    source
        Who gave them.
    now
        When they were fetched.
    table
        ``candles`` or ``funding_rates``.

    Returns
    -------
    int
        How many stored rows are about to get other values.
    """
    if good.is_empty():
        return 0
    notes, columns = NOTES[table.name]
    where = {name: good[name][0] for name in table.key if name != table.time}
    start, end = good["ts"][0], good["ts"][-1] + timedelta(microseconds=1)
    stored = store.read(table, where=where, start=start, end=end, columns=["ts", *columns])
    if stored.is_empty():
        return 0
    pairs = good.join(stored, on="ts", how="inner", suffix="_stored")
    changed = pairs.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_stored") for name in columns))
    if changed.is_empty():
        return 0
    rows = changed.select(
        *table.key,
        pl.lit(now).dt.cast_time_unit("us").alias("seen_at"),
        pl.lit(source).alias("source"),
        *(pl.col(f"{name}_stored").alias(f"old_{name}") for name in columns),
        *(pl.col(name).alias(f"new_{name}") for name in columns),
    )
    noted = store.read(notes, where=where, start=start, end=end)
    values = [f"{when}_{column}" for when in ("old", "new") for column in columns]
    newest = noted.sort("seen_at").group_by("ts").last().select("ts", *values)
    store.upsert(notes, rows.join(newest, on=["ts", *values], how="anti"))
    return changed.height
