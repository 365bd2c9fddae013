"""What is left to fetch: the stored candles are the checkpoint, and settled gaps are not asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.missing_candles import Span, merged
from trading_assets.sources.gaps.coverage import Coverage
from trading_assets.sources.gaps.ledger import settled_spans
from trading_assets.sources.window import last_close
from trading_assets.store.contract import Store


def parts_to_fetch(
    store: Store,
    *,
    market: str,
    timeframe: str,
    pieces: Sequence[Span],
    now: datetime,
    reread_bars: int,
    recorded: bool = False,
    coverage: Coverage | None = None,
    streamed_from: datetime | None = None,
) -> list[Span]:
    """The parts of a window that must be asked for, so that what is stored is not fetched again.

    Parameters
    ----------
    pieces
        The window, cut where fetches may have begun: month by month, because a later month may have been fetched
        while an earlier one was cut off by a kill.
    now
        The present time: a window that reaches beyond it still grows.
    reread_bars
        How many of the newest bars of a window that still grows are asked for once more: they bring in what the
        source delivered late, and what it revised.
    recorded
        Whether the source reads files: they may have been completed, so what was settled is looked for again.
    coverage
        What is stored of the window, where the fetch that follows goes on with it.
    streamed_from
        The first candle that is there because it was streamed: a fetch went no farther than to the one before.

    Returns
    -------
    list of tuple
        Ascending, apart from each other; empty where all is stored or settled.
    """
    if not pieces:
        return []
    coverage = coverage or Coverage(store, market, timeframe, pieces[0][0], pieces[-1][1])
    settled = [] if recorded else settled_spans(coverage.ledger)
    parts = []
    for start, end in pieces:
        part = _rest(coverage, (start, end), settled, streamed_from)
        if part is not None:
            parts.append(part)
    if pieces[-1][1] > now:
        grows = bool(parts) and parts[-1][1] > now
        tail = min(parts[-1][0] if grows else now, last_close(now, timeframe))
        parts.append((max(pieces[0][0], tail - reread_bars * timeframe_delta(timeframe)), pieces[-1][1]))
    return merged(parts)


def _rest(coverage: Coverage, piece: Span, settled: Sequence[Span], streamed_from: datetime | None) -> Span | None:
    """What of a piece was not fetched: it was in ascending time, so all of it up to the last stored candle was.

    That candle itself is fetched again. A piece whose first candle is not stored, and not settled either, is fetched
    from its start: it may have been entered in the middle.
    """
    bar = timeframe_delta(coverage.timeframe)
    start, end = _beyond(piece[0], settled), piece[1]
    if start >= end:
        return None
    last = coverage.newest_before(end if streamed_from is None else min(end, streamed_from))
    if last is None or coverage.times(start, min(end, start + bar)).is_empty():
        return start, end
    after = _beyond(last + bar, settled)
    if after >= end:
        return None
    return (last if after == last + bar else after), end


def _beyond(moment: datetime, settled: Sequence[Span]) -> datetime:
    """The moment, or the end of the settled span that holds it."""
    return next((end for start, end in settled if start <= moment < end), moment)
