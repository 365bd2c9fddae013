"""After a fetch: what is missing is explained as far as that can be done without asking again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import TradingError
from trading_assets.core.missing_candles import UNCHECKED, Span
from trading_assets.sources.contract import CandleSource, KnowsBeginning, Recorded
from trading_assets.sources.gaps.coverage import Coverage
from trading_assets.sources.gaps.ledger import SETTLED, inside, mark
from trading_assets.sources.gaps.reach import note_reach


def classify_gaps(
    coverage: Coverage, source: CandleSource, *, window: Span, asked: Sequence[Span], now: datetime
) -> pl.DataFrame:
    """Bring the ledger of a window up to date: what came in leaves it, what can be explained at once enters it."""
    explained = coverage.missing(*window)
    if len(explained) or not coverage.ledger.is_empty():
        explained = explained.join(coverage.refused(explained["ts"]), on="ts", how="left").sort("ts")
        explained = mark(explained, pl.col("broken").is_not_null(), "quarantined", detail=pl.col("broken"), now=now)
        explained = note_beginning(coverage, source, explained, asked=asked, now=now)
        if isinstance(source, Recorded):
            explained = note_absent(coverage, source, explained, inside(explained["ts"], asked), now=now)
        else:
            bar = timeframe_delta(coverage.timeframe)
            heads = inside(explained["ts"], [(start, start + 2 * bar) for start, _ in asked])
            explained = _note_lost(coverage, source, explained, heads, now)
        coverage.write(explained, *window)
    return explained


def note_beginning(
    coverage: Coverage, source: CandleSource, explained: pl.DataFrame, *, asked: Sequence[Span], now: datetime
) -> pl.DataFrame:
    """Explain what is missing before the market's first stored candle, where it was asked for and did not come.

    A source that can tell why is believed; of another one, silence before the first candle means that the market was
    not listed. Files say nothing about that.
    """
    if isinstance(source, Recorded):
        return explained
    open_ones = explained.filter(inside(explained["ts"], asked) & (explained["reason"] == UNCHECKED))
    if open_ones.is_empty():
        return explained
    stored = coverage.bounds
    first = stored[0] if stored else now
    head = open_ones.filter(pl.col("ts") < first)
    if head.is_empty():
        return explained
    if isinstance(source, KnowsBeginning):
        found = source.beginning(coverage.market, coverage.timeframe, head["ts"][0])
        if found is None:
            return explained
        these = pl.col("ts").is_in(head["ts"].implode()) & (pl.col("ts") < found.ts)
        return mark(explained, these, found.reason, detail=found.detail, now=now)
    if stored is None:
        return explained
    detail = f"{source.name} has no candle before {first:%Y-%m-%d %H:%M} UTC"
    return mark(explained, pl.col("ts").is_in(head["ts"].implode()), "before_listing", detail=detail, now=now)


def note_absent(
    coverage: Coverage, source: Recorded, explained: pl.DataFrame, read: pl.Series, *, now: datetime
) -> pl.DataFrame:
    """Explain what the files of a market lack, from its first stored candle to the end of the month of its last.

    What an exchange said of a candle before stands: files cannot know better.

    Parameters
    ----------
    read
        Which of the missing candles were looked for in the files.
    """
    stored = coverage.bounds
    if stored is None:
        return explained
    end = (stored[1].replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    asked_of_files = pl.col("detail").str.contains("files:", literal=True)
    open_reason = pl.col("reason").is_in([*SETTLED, "quarantined"]).not_() | asked_of_files
    these = pl.lit(read) & pl.col("ts").is_between(stored[0], end, closed="left") & open_reason
    detail = f"{source.recorded_in(coverage.market)} has none: complete it, then trading gaps --repair"
    return mark(explained, these, "not_in_files", detail=detail, now=now)


def _note_lost(
    coverage: Coverage, source: CandleSource, explained: pl.DataFrame, heads: pl.Series, now: datetime
) -> pl.DataFrame:
    """Explain ranges that a fetch from the last stored candle on left out because they are out of the source's reach.

    Parameters
    ----------
    heads
        The first missing candles of what was asked for.
    """
    begin = heads & (explained["reason"] == UNCHECKED)
    if not begin.any():
        return explained
    stored = coverage.bounds
    begin = begin & (explained["ts"] > (stored[0] if stored else now))
    if not begin.any():
        return explained
    bar = timeframe_delta(coverage.timeframe)
    follows = (explained["ts"].diff() == bar) & (explained["reason"] == UNCHECKED)
    ranges = explained.select(run=(~follows.fill_null(value=False)).cum_sum(), begin=begin)
    silent = ranges.select(pl.col("begin").any().over("run")).to_series() & (explained["reason"] == UNCHECKED)
    return note_reach(coverage, source, explained, silent, now=now)


def note_failure(coverage: Coverage, span: Span, error: TradingError, now: datetime) -> None:
    """What a failed fetch did not bring is a ``fetch_failure`` until a later one brings it."""
    explained = coverage.missing(*span)
    lost = pl.col("reason").is_in(SETTLED).not_()
    explained = mark(explained, lost, "fetch_failure", detail=error.what, now=now)
    coverage.write(explained, *span)
