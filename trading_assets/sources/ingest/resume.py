"""What is left to fetch: the stored candles are the checkpoint, and settled gaps are not asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.missing_candles import Span, merged
from trading_assets.sources.gaps.ledger import ledger, settled_spans
from trading_assets.sources.window import last_close
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES


def parts_to_fetch(
    store: Store,
    *,
    market: str,
    timeframe: str,
    pieces: Sequence[Span],
    now: datetime,
    reread_bars: int,
    recorded: bool = False,
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

    Returns
    -------
    list of tuple
        Ascending, apart from each other; empty where all is stored or settled.
    """
    settled = [] if recorded else settled_spans(ledger(store, market, timeframe))
    parts = []
    for start, end in pieces:
        part = _rest(store, market, timeframe, (start, end), settled)
        if part is not None:
            parts.append(part)
    if pieces and pieces[-1][1] > now:
        grows = bool(parts) and parts[-1][1] > now
        tail = min(parts[-1][0] if grows else now, last_close(now, timeframe))
        parts.append((max(pieces[0][0], tail - reread_bars * timeframe_delta(timeframe)), pieces[-1][1]))
    return merged(parts)


def _rest(store: Store, market: str, timeframe: str, piece: Span, settled: Sequence[Span]) -> Span | None:
    """What of a piece was not fetched: it was in ascending time, so all of it up to the last stored candle was.

    That candle itself is fetched again. A piece whose first candle is not stored, and not settled either, is fetched
    from its start: it may have been entered in the middle.
    """
    where, bar = {"market": market, "timeframe": timeframe}, timeframe_delta(timeframe)
    start, end = _beyond(piece[0], settled), piece[1]
    if start >= end:
        return None
    first = store.read(CANDLES, where=where, start=start, end=min(end, start + bar), columns=["ts"])
    if first.is_empty():
        return start, end
    last: datetime = store.tail(CANDLES, where=where, before=end, rows=1)["ts"][0]
    after = _beyond(last + bar, settled)
    if after >= end:
        return None
    return (last if after == last + bar else after), end


def _beyond(moment: datetime, settled: Sequence[Span]) -> datetime:
    """The moment, or the end of the settled span that holds it."""
    return next((end for start, end in settled if start <= moment < end), moment)
