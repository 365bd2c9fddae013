"""The list of gaps: what the SQL model finds missing, with what the ledger knows about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.core.missing_candles import explain, missing_times
from trading_assets.settings import Settings
from trading_assets.sources.gaps.ledger import as_ranges, ledger
from trading_assets.sql import load_models, run_window
from trading_assets.store import configured_store
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES


def gaps_of(
    settings: Settings, market: str, start: datetime, end: datetime, *, to_month_end: bool = False
) -> pl.DataFrame:
    """The market's missing ranges that begin in ``[start, end)``, as :func:`gap_report` gives them.

    ``to_month_end`` adds what follows the last stored candle in its month, if that has ended: it may not have been
    fetched on purpose, so it counts only where the days are named.
    """
    now = datetime.now(UTC) if to_month_end else None
    timeframe = settings.markets[market].timeframe
    return gap_report(configured_store(settings), market=market, timeframe=timeframe, start=start, end=end, now=now)


def gap_report(
    store: Store, *, market: str, timeframe: str, start: datetime, end: datetime, now: datetime | None = None
) -> pl.DataFrame:
    """Every known gap of a market that begins in ``[start, end)``, split where reasons differ.

    Gaps lie between stored candles (the model ``gaps``), and after the last one up to the end of its month, once that
    has ended. What the ledger knows beyond them, before the listing or after a failed fetch, comes along. Months that
    nobody fetched are no gaps.

    Parameters
    ----------
    now
        The present time; without it, what follows the last candle is left out.

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
    stored = store.bounds(CANDLES, where={"market": market, "timeframe": timeframe})
    within = known.filter(pl.col("ts").is_between(start, end, closed="left"))
    if stored is not None:
        last = stored[1] + bar
        tail = _tail(last, timeframe, start, end, now)
        times = pl.concat([times, tail])
        edge = tail[-1] + bar if len(tail) else last
        after = within.filter(pl.col("end") > edge).with_columns(ts=pl.max_horizontal("ts", pl.lit(edge)).cast(TS))
        after = after.with_columns(
            candles=(
                (pl.col("end") - pl.col("ts")).dt.total_microseconds() // pl.lit(bar).dt.total_microseconds()
            ).cast(after.schema["candles"])
        )
        within = pl.concat([within.filter(pl.col("ts") < stored[0]), after.filter(pl.col("ts") >= edge)])
    between = as_ranges(explain(times, known), timeframe)
    named = between.select(pl.lit(market).alias("market"), pl.lit(timeframe).alias("timeframe"), pl.all())
    return pl.concat([named.select(list(CANDLE_GAPS.columns)), within]).sort("ts")


def _tail(last: datetime, timeframe: str, start: datetime, end: datetime, now: datetime | None) -> pl.Series:
    """What is missing of the month of the last stored candle after its end at ``last``, if the month has ended."""
    month = (last - timeframe_delta(timeframe)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month_end = (month + timedelta(days=32)).replace(day=1)
    if now is None or month_end > now or not start <= last < end:
        return pl.Series("ts", [], dtype=TS)
    return missing_times(pl.Series("ts", [], dtype=TS), timeframe, last, min(month_end, end))
