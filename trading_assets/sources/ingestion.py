"""From a source into the store: fetch, part good from bad, write both by key, and say what is there and what is not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.candles import timeframe_delta
from trading_assets.errors import SourceError
from trading_assets.sources.contract import CandleSource
from trading_assets.sources.rules import split_valid
from trading_assets.sources.window import EPOCH, check_window, last_close
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, CANDLES_QUARANTINE

Progress = Callable[[datetime, int], None]
"""Called after each page with the time reached and the rows fetched so far."""

BATCH_ROWS: Final = 10_000
"""Rows put together for one write: each costs tens of milliseconds, however small."""

LONGEST_GAPS: Final = 5
"""How many missing ranges a report names."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gap:
    """A missing range: no candle is stored that opens in ``[start, end)``.

    Attributes
    ----------
    start, end
        Open time of the first missing candle and of the next stored one.
    candles
        How many candles are missing.
    """

    start: datetime
    end: datetime
    candles: int

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC: {self.candles:,} candles"


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one ingest did, and what the store holds in its window afterwards.

    Attributes
    ----------
    market, timeframe, source, synthetic
        What was fetched and from where; ``synthetic`` is true for made-up candles.
    start, end
        The window, cut at the last closed bar.
    rows
        Good candles fetched (written, or stored already with the same values).
    quarantined
        Rows fetched that broke a rule.
    reasons
        Reason -> number of quarantined rows.
    retries
        Requests that had to be repeated.
    stored
        Candles in the window now, those of earlier runs included.
    expected
        Candles that the window has room for.
    first, last
        Open times of the first and last stored candle of the window; None where there is none.
    gaps
        The longest missing ranges, longest first, at most ``LONGEST_GAPS``.
    gap_ranges
        How many missing ranges there are in all.
    """

    market: str
    timeframe: str
    source: str
    synthetic: bool
    start: datetime
    end: datetime
    rows: int
    quarantined: int
    reasons: dict[str, int]
    retries: int
    stored: int
    expected: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[Gap, ...]
    gap_ranges: int

    @property
    def missing(self) -> int:
        """Candles that the window has room for and that are not stored."""
        return self.expected - self.stored

    @property
    def gap_share(self) -> float:
        """Missing candles as a fraction of those expected; 0 for an empty window."""
        return self.missing / self.expected if self.expected else 0.0

    def __str__(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        text = (
            f"{self.market} {self.timeframe} from {label}{self.source}: {self.rows:,} candles fetched, "
            f"{self.stored:,} of {self.expected:,} stored"
        )
        if self.missing:
            text += f", {self.missing:,} missing ({self.gap_share:.2%}) in {self.gap_ranges} ranges"
        if self.quarantined:
            text += f", {self.quarantined:,} quarantined"
        if self.retries:
            text += f", {self.retries} requests repeated"
        return text


def ingest(
    store: Store,
    source: CandleSource,
    *,
    market: str,
    timeframe: str,
    start: datetime,
    end: datetime,
    now: datetime,
    progress: Progress | None = None,
) -> IngestReport:
    """Fetch the closed candles of a window and store them.

    Pages are written in ascending time, some at once, so a killed run leaves a beginning that the next run completes.
    Running twice leaves the same rows.

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
    progress
        Called after each page.

    Raises
    ------
    SettingsError
        If ``start`` is not before ``end``.
    SourceError
        If the source cannot deliver; what was fetched before stays stored.
    InvalidFrame
        If the source delivers something that is not candles.
    """
    check_window(market, start, end)
    stop = min(end, last_close(now, timeframe))
    rows = 0
    reasons: Counter[str] = Counter()
    retries = source.retries
    if start < stop:
        for batch in _batches(source.fetch(market, timeframe, start, stop), progress):
            good, bad = split_valid(batch, market=market, timeframe=timeframe, start=start, end=stop, now=now)
            _quarantine(store, bad, source.name, now)  # first: a run that resumes starts at the last stored candle
            store.upsert(CANDLES, good)
            reasons.update(bad["reason"])
            rows += good.height
    if reasons:
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        _log.warning("%s: rows went to quarantine: %s", market, found)
    where = {"market": market, "timeframe": timeframe}
    times = store.read(CANDLES, where=where, start=start, end=max(start, stop), columns=["ts"])["ts"]
    gaps = missing_ranges(times, timeframe, start, stop)
    return IngestReport(
        market=market,
        timeframe=timeframe,
        source=source.name,
        synthetic=source.synthetic,
        start=start,
        end=max(start, stop),
        rows=rows,
        quarantined=reasons.total(),
        reasons=dict(sorted(reasons.items())),
        retries=source.retries - retries,
        stored=len(times),
        expected=_count(start, stop, timeframe_delta(timeframe)),
        first=times[0] if len(times) else None,
        last=times[-1] if len(times) else None,
        gaps=tuple(sorted(gaps, key=lambda gap: (-gap.candles, gap.start))[:LONGEST_GAPS]),
        gap_ranges=len(gaps),
    )


def resume_from(store: Store, *, market: str, timeframe: str, start: datetime, end: datetime) -> datetime:
    """From where on a window must be fetched, so that one more day costs one day.

    Ingest writes in ascending time, so what it began at ``start`` is complete up to the last stored candle. That
    candle itself is fetched again. A window whose first candle is not stored is fetched from its start: it may have
    been entered in the middle.

    Returns
    -------
    datetime
        Between ``start`` and ``end``.
    """
    where = {"market": market, "timeframe": timeframe}
    bar = timeframe_delta(timeframe)
    first = store.read(CANDLES, where=where, start=start, end=min(end, start + bar), columns=["ts"])
    if first.is_empty():
        return start
    last: datetime = store.tail(CANDLES, where=where, before=end, rows=1)["ts"][0]
    return last


def missing_ranges(times: pl.Series, timeframe: str, start: datetime, end: datetime) -> list[Gap]:
    """The ranges of a window in which no candle is stored, in ascending time.

    Parameters
    ----------
    times
        Open times of the stored candles in the window, ascending and unique.
    timeframe, start, end
        What the window should hold.
    """
    bar = timeframe_delta(timeframe)
    if start >= end:
        return []
    first = EPOCH - (EPOCH - start) // bar * bar  # the first bar that opens in the window
    edges = pl.concat([pl.Series([first - bar], dtype=times.dtype), times, pl.Series([end], dtype=times.dtype)])
    found = pl.DataFrame({"start": edges[:-1] + bar, "end": edges[1:]}).filter(pl.col("start") < pl.col("end"))
    return [Gap(begin, stop, _count(begin, stop, bar)) for begin, stop in found.iter_rows()]


def _count(start: datetime, end: datetime, bar: timedelta) -> int:
    """How many bars open in ``[start, end)``."""
    return max(-((EPOCH - end) // bar) - -((EPOCH - start) // bar), 0)


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


def _quarantine(store: Store, bad: pl.DataFrame, source: str, now: datetime) -> None:
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
    stamped = fresh.with_columns(source=pl.lit(source), seen_at=pl.lit(now).dt.cast_time_unit("us"))
    store.upsert(CANDLES_QUARANTINE, stamped.select(list(CANDLES_QUARANTINE.columns)))
