"""What stands in the store against the rules, where something else than a fetch has written it."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from trading_assets.sources.ingest.candle_validation import split_valid
from trading_assets.sources.ingest.ingestion import keep_bad
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES


def set_broken_apart(
    store: Store, *, market: str, timeframe: str, start: datetime, end: datetime, now: datetime
) -> int:
    """Judge the stored candles of a window by the rules of a fetch: those that break one go to quarantine.

    A key that is stored twice is there once afterwards, or, where its rows differ, in quarantine.

    Returns
    -------
    int
        How many rows are candles no longer.
    """
    where = {"market": market, "timeframe": timeframe}
    stored = store.read(CANDLES, where=where, start=start, end=end)
    good, bad = split_valid(stored, market=market, timeframe=timeframe, start=start, end=end, now=now)
    if good.height < stored.height:
        keep_bad(store, bad, "store", now)
        doubled = stored.filter(pl.col("ts").is_duplicated())
        if doubled.height:  # the stores leave a row alone that is there with the same values, however often
            store.replace(CANDLES, good.join(doubled, on="ts", how="anti"), where=where, start=start, end=end)
        store.replace(CANDLES, good, where=where, start=start, end=end)
    return stored.height - good.height
