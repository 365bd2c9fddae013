"""From a source into the store: fetch, part good from bad, write both by key, and say what is there and what is not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import InvalidFrame, SourceError, TradingError
from trading_assets.core.missing_candles import Span, bars_between, missing_ranges
from trading_assets.sources.contract import CandleSource, Recorded
from trading_assets.sources.gaps.classification import classify_gaps, note_failure
from trading_assets.sources.gaps.coverage import Coverage
from trading_assets.sources.gaps.ledger import count_reasons
from trading_assets.sources.ingest.candle_validation import split_valid
from trading_assets.sources.ingest.quarantine import accept_released
from trading_assets.sources.ingest.report import LONGEST_GAPS, IngestReport
from trading_assets.sources.ingest.revisions import record_revisions
from trading_assets.sources.window import check_window, last_close
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, CANDLES_QUARANTINE

Progress = Callable[[datetime, int], None]
"""Called after each page with the time reached and the rows fetched so far."""

BATCH_ROWS: Final = 500
"""Smaller pages are put together until they have so many rows; a kill loses no more than these, or one page."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Taken:
    """What has come in so far."""

    rows: int = 0
    revised: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def ingest(
    store: Store,
    source: CandleSource,
    *,
    market: str,
    timeframe: str,
    start: datetime,
    end: datetime,
    now: datetime,
    parts: Sequence[Span] | None = None,
    progress: Progress | None = None,
    coverage: Coverage | None = None,
    on_good: Callable[[pl.DataFrame], None] | None = None,
) -> IngestReport:
    """Fetch the closed candles of a window, store them, and note what the source does not have.

    Pages are written in ascending time, one by one or some at once, so a killed run leaves a beginning that the next
    run completes. Running twice leaves the same rows. A stored candle that comes with other values is replaced, and
    its old values are kept in ``candle_revisions``.

    Parameters
    ----------
    store, source
        Where to and where from.
    market, timeframe
        What to fetch.
    start, end
        Candles with ``start <= ts < end``; later than ``now`` nothing is asked for.
    now
        The present time.
    parts
        The parts of the window to ask for; the whole window where this is None.
    progress
        Called after each page.
    coverage
        What is stored of the window, where it has been read already.
    on_good
        Told of each batch of good candles before it is written.

    Raises
    ------
    SettingsError
        If ``start`` is not before ``end``.
    SourceError
        If the source cannot deliver; what was fetched before stays stored, the rest is noted as ``fetch_failure``. Of
        files, the parts after the one that cannot be read are fetched too.
    InvalidFrame
        If the source delivers something that is not candles.
    """
    check_window(market, start, end)
    stop = max(start, min(end, last_close(now, timeframe)))
    coverage = coverage or Coverage(store, market, timeframe, start, end)
    taken, retries, asked = Taken(), source.retries, []
    failures: list[TradingError] = []
    for begin, until in [(start, end)] if parts is None else parts:
        if begin >= (cut := min(until, stop)):
            continue
        try:
            take(coverage, source, taken, span=(begin, cut), now=now, progress=progress, on_good=on_good)
        except (SourceError, InvalidFrame) as error:
            note_failure(coverage, (begin, cut), error, now)
            if not isinstance(source, Recorded):
                raise
            failures.append(error)  # another file may be good
            continue
        asked.append((begin, cut))
    if taken.reasons:
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(taken.reasons.items()))
        _log.warning("%s: rows went to quarantine: %s", market, found)
    explained = classify_gaps(coverage, source, window=(start, stop), asked=asked, now=now)
    if failures:
        raise failures[0]
    times = coverage.times(start, stop)
    gaps = missing_ranges(times, timeframe, start, stop)
    return IngestReport(
        market=market,
        timeframe=timeframe,
        source=source.name,
        synthetic=source.synthetic,
        start=start,
        end=stop,
        rows=taken.rows,
        quarantined=taken.reasons.total(),
        reasons=dict(sorted(taken.reasons.items())),
        retries=source.retries - retries,
        stored=len(times),
        expected=bars_between(start, stop, timeframe_delta(timeframe)),
        first=times[0] if len(times) else None,
        last=times[-1] if len(times) else None,
        gaps=tuple(sorted(gaps, key=lambda gap: (-gap.candles, gap.start))[:LONGEST_GAPS]),
        gap_ranges=len(gaps),
        revised=taken.revised,
        explained=count_reasons(explained),
    )


def take(
    coverage: Coverage,
    source: CandleSource,
    taken: Taken,
    *,
    span: Span,
    now: datetime,
    progress: Progress | None = None,
    on_good: Callable[[pl.DataFrame], None] | None = None,
) -> None:
    """Fetch one span and store it, batch by batch: bad rows to quarantine, revisions noted, good rows by key.

    Raises
    ------
    SourceError
        If the source cannot deliver; what came before is stored.
    """
    store, market, timeframe = coverage.store, coverage.market, coverage.timeframe
    start, end = span
    before = taken.rows + taken.reasons.total()

    def told(reached: datetime, rows: int) -> None:
        if progress is not None:
            progress(reached, before + rows)

    stored = coverage.newest_before(end)
    for batch in _batches(source.fetch(market, timeframe, start, end), told):
        good, bad = split_valid(batch, market=market, timeframe=timeframe, start=start, end=end, now=now)
        good, bad = accept_released(store, good, bad)
        keep_bad(store, bad, source.name, now)  # first: a run that resumes starts at the last stored candle
        if stored is not None and good.height and good["ts"][0] <= stored:
            taken.revised += record_revisions(store, good, source=source.name, now=now)
        if on_good is not None:
            on_good(good)
        store.upsert(CANDLES, good)
        coverage.add(good["ts"])
        taken.reasons.update(bad["reason"])
        taken.rows += good.height


def _batches(pages: Iterator[pl.DataFrame], progress: Progress | None) -> Iterator[pl.DataFrame]:
    """Pages put together to what is worth a write; also what came before a source failed.

    Rows of a batch's last time are held back until the next batch, where their rivals may be.
    """
    waiting: list[pl.DataFrame] = []
    failure: Exception | None = None
    fetched = 0
    try:
        for page in pages:
            if page.is_empty():
                continue
            waiting.append(page)
            fetched += page.height
            if progress is not None:
                progress(_newest(page), fetched)
            if sum(part.height for part in waiting) >= BATCH_ROWS:
                joined = pl.concat(waiting)
                last = pl.col("ts").eq_missing(_newest(joined))
                waiting = [joined.filter(last)]
                yield joined.filter(~last)
    except SourceError as error:
        failure = error
    if waiting:
        joined = pl.concat(waiting)
        yield joined if failure is None else joined.filter(pl.col("ts").ne_missing(_newest(joined)))
    if failure is not None:
        raise failure


def _newest(page: pl.DataFrame) -> datetime:
    newest = page["ts"].max()
    assert isinstance(newest, datetime)
    return newest


def keep_bad(store: Store, bad: pl.DataFrame, source: str, now: datetime) -> None:
    """Store rows that broke a rule; one that is there already keeps the time at which it was first seen."""
    if bad.is_empty():
        return
    where = {"market": bad["market"][0], "timeframe": bad["timeframe"][0]}
    first, last = bad["ts"].min(), bad["ts"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    known = store.read(
        CANDLES_QUARANTINE, where=where, start=first, end=last + timedelta(microseconds=1), columns=["ts", "row_hash"]
    )
    fresh = bad.join(known, on=["ts", "row_hash"], how="anti")
    never = dict.fromkeys(("released_at", "released_by", "note"), pl.lit(None))
    stamped = fresh.with_columns(source=pl.lit(source), seen_at=pl.lit(now).dt.cast_time_unit("us"), **never)
    store.upsert(CANDLES_QUARANTINE, stamped.select(list(CANDLES_QUARANTINE.columns)))
