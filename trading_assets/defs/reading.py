"""Where a run starts to compute, and what it reads for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from trading_assets.candles import timeframe_delta
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def resume_at(store: Store, market: str, timeframe: str, start: datetime) -> datetime:
    """From when on rows must be computed so that months run one by one equal months run at once.

    What follows the last candle before ``start`` could not be settled then: nobody knew that no candle would follow.
    A run of the next month therefore begins there, not at its own first minute.

    Returns
    -------
    datetime
        The end of the last candle before ``start``; ``start`` where there is none.
    """
    last = store.tail(CANDLES, where={"market": market, "timeframe": timeframe}, before=start, rows=1)
    return start if last.is_empty() else min(start, last["ts"][0] + timeframe_delta(timeframe))


def known_until(store: Store, market: str, timeframe: str, end: datetime) -> datetime | None:
    """Up to when candles are known: ``end``, or the end of the newest candle before it where nothing follows."""
    where = {"market": market, "timeframe": timeframe}
    newest = store.tail(CANDLES, where=where, before=datetime.max.replace(tzinfo=UTC), rows=1)
    return None if newest.is_empty() else min(end, newest["ts"][0] + timeframe_delta(timeframe))


def bar_start(moment: datetime, bar: timedelta) -> datetime:
    """The open of the bar that holds a moment; bars are counted from 1970-01-01 UTC."""
    return moment - (moment - _EPOCH) % bar
