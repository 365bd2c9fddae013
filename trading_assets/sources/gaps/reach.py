"""How far back a source still gives candles: of what is older, its silence says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.missing_candles import Span
from trading_assets.sources.contract import CandleSource, KnowsBeginning
from trading_assets.sources.gaps.coverage import Coverage
from trading_assets.sources.gaps.ledger import inside, mark
from trading_assets.store.tables import CANDLES


def runs_of(times: pl.Series, timeframe: str) -> list[Span]:
    """Ascending open times as ranges of consecutive bars."""
    bar = timeframe_delta(timeframe)
    runs = pl.DataFrame({"ts": times}).with_columns(run=(pl.col("ts").diff() != bar).fill_null(value=True).cum_sum())
    ranges = runs.group_by("run", maintain_order=True).agg(start=pl.col("ts").first(), end=pl.col("ts").last() + bar)
    return list(ranges.select("start", "end").iter_rows())


def note_reach(
    coverage: Coverage, source: CandleSource, explained: pl.DataFrame, silent: pl.Series, *, now: datetime
) -> pl.DataFrame:
    """Explain candles that an exchange did not give because it no longer gives any that old.

    It is asked for the candle that is stored right before a range of missing ones: if it does not give that either, its
    silence is no sign that nobody traded. What is older than an unreachable range is unreachable too, so that few are
    tried.

    Parameters
    ----------
    explained
        Every missing candle of a window.
    silent
        Which of them were asked for and did not come.

    Raises
    ------
    SourceError
        If the source cannot deliver.
    """
    if not isinstance(source, KnowsBeginning):
        return explained
    runs = runs_of(explained["ts"].filter(silent), coverage.timeframe)
    lost = runs[: _first_in_reach(coverage, source, runs)]
    if not lost:
        return explained
    detail = f"{source.name} no longer gives the candles before it either: take them from files or another exchange"
    these = pl.lit(inside(explained["ts"], lost) & silent)
    return mark(explained, these, "out_of_reach", detail=detail, now=now)


def _first_in_reach(coverage: Coverage, source: CandleSource, runs: Sequence[Span]) -> int:
    """The index of the oldest range that the source reaches, by halving; the number of ranges where it reaches none."""
    low, high = 0, len(runs)
    while low < high:
        middle = low if low == 0 and high == len(runs) else (low + high) // 2  # most often the oldest is in reach
        if _reaches(coverage, source, runs[middle][0]):
            high = middle
        else:
            low = middle + 1
    return low


def _reaches(coverage: Coverage, source: CandleSource, start: datetime) -> bool:
    """Whether the source gives the newest candle that is stored before ``start``; True where none is."""
    last = coverage.newest_before(start)
    if last is None:  # before the window
        rows = coverage.store.tail(CANDLES, where=coverage.where, before=start, rows=1)
        if rows.is_empty():
            return True  # what lies before the first candle is explained otherwise
        last = rows["ts"][0]
    timeframe = coverage.timeframe
    pages = source.fetch(coverage.market, timeframe, last, last + timeframe_delta(timeframe))
    return any(page.height for page in pages)
