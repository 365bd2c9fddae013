"""After a fetch: what is missing is explained as far as that can be done without asking again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from trading_assets.errors import SourceError
from trading_assets.missing import UNCHECKED, Span, explain, missing_times
from trading_assets.sources.contract import CandleSource, KnowsBeginning
from trading_assets.sources.gaps import SETTLED, inside, ledger, mark, refused, write_ledger
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES


def stored_times(store: Store, market: str, timeframe: str, start: datetime, end: datetime) -> pl.Series:
    """The open times of the stored candles of a window, ascending."""
    where = {"market": market, "timeframe": timeframe}
    return store.read(CANDLES, where=where, start=start, end=end, columns=["ts"])["ts"]


def settle(
    store: Store,
    source: CandleSource,
    times: pl.Series,
    *,
    market: str,
    timeframe: str,
    window: Span,
    asked: Sequence[Span],
    now: datetime,
) -> pl.DataFrame:
    """Bring the ledger of a window up to date: what came in leaves it, what can be explained at once enters it."""
    missing = missing_times(times, timeframe, *window)
    known = ledger(store, market, timeframe)
    explained = explain(missing, known)
    if len(missing) or not known.is_empty():
        bad = refused(store, missing, market, timeframe)
        explained = explained.join(bad, on="ts", how="left").sort("ts")
        explained = mark(explained, pl.col("broken").is_not_null(), "quarantined", detail=pl.col("broken"), now=now)
        explained = note_beginning(store, source, explained, market=market, timeframe=timeframe, asked=asked, now=now)
        write_ledger(store, explained, known, market=market, timeframe=timeframe, window=window)
    return explained


def note_beginning(
    store: Store,
    source: CandleSource,
    explained: pl.DataFrame,
    *,
    market: str,
    timeframe: str,
    asked: Sequence[Span],
    now: datetime,
) -> pl.DataFrame:
    """Explain what is missing before the market's first stored candle, where it was asked for and did not come.

    A source that can tell why is believed; of another one, silence before the first candle means that the market was
    not listed.
    """
    stored = store.bounds(CANDLES, where={"market": market, "timeframe": timeframe})
    first = stored[0] if stored else now
    head = explained.filter(
        inside(explained["ts"], asked) & (explained["ts"] < first) & (explained["reason"] == UNCHECKED)
    )
    if head.is_empty():
        return explained
    if isinstance(source, KnowsBeginning):
        found = source.beginning(market, timeframe, head["ts"][0])
        if found is None:
            return explained
        these = pl.col("ts").is_in(head["ts"].implode()) & (pl.col("ts") < found.ts)
        return mark(explained, these, found.reason, detail=found.detail, now=now)
    if stored is None:
        return explained
    detail = f"{source.name} has no candle before {first:%Y-%m-%d %H:%M} UTC"
    return mark(explained, pl.col("ts").is_in(head["ts"].implode()), "before_listing", detail=detail, now=now)


def note_failure(store: Store, market: str, timeframe: str, span: Span, error: SourceError, now: datetime) -> None:
    """What a failed fetch did not bring is a ``fetch_failure`` until a later one brings it."""
    missing = missing_times(stored_times(store, market, timeframe, *span), timeframe, *span)
    known = ledger(store, market, timeframe)
    explained = explain(missing, known)
    lost = pl.col("reason").is_in(SETTLED).not_()
    explained = mark(explained, lost, "fetch_failure", detail=error.what, now=now)
    write_ledger(store, explained, known, market=market, timeframe=timeframe, window=span)
