"""The list of gaps: what the SQL model finds missing, with what the ledger knows about it."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from trading_assets.candles import TS, timeframe_delta
from trading_assets.missing import explain
from trading_assets.sources.gaps import as_ranges, ledger
from trading_assets.sql import load_models, run_window
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES


def list_gaps(store: Store, *, market: str, timeframe: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Every known gap of a market that begins in ``[start, end)``, split where reasons differ.

    Gaps lie between stored candles (the model ``gaps``); what the ledger knows beyond them, before the listing or after
    a failed fetch, comes along. Months that nobody fetched are no gaps.

    Returns
    -------
    polars.DataFrame
        Rows of the table ``candle_gaps``; those that nobody looked into have the reason ``unchecked``.
    """
    model, bar = load_models()["gaps"], timeframe_delta(timeframe)
    found = run_window(store, model, market=market, timeframe=timeframe, start=start, end=end)
    times = pl.Series("ts", [], dtype=TS)
    if not found.is_empty():
        opens = found.select(pl.datetime_ranges("ts", "end", bar, closed="left", time_unit="us").alias("ts"))
        times = opens["ts"].explode().cast(TS)
    known = ledger(store, market, timeframe)
    between = as_ranges(explain(times, known), timeframe)
    within = known.filter(pl.col("ts").is_between(start, end, closed="left"))
    stored = store.bounds(CANDLES, where={"market": market, "timeframe": timeframe})
    beyond = within if stored is None else within.filter((pl.col("ts") < stored[0]) | (pl.col("ts") > stored[1]))
    named = between.select(pl.lit(market).alias("market"), pl.lit(timeframe).alias("timeframe"), pl.all())
    return pl.concat([named.select(list(CANDLE_GAPS.columns)), beyond]).sort("ts")
