"""Where a run starts to compute, what it reads for it, and which rows it makes anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from trading_assets.core.candles import timeframe_delta
from trading_assets.defs.lib.partitions import Window
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def resume_at(store: Store, settings: Settings, market: str, start: datetime) -> datetime:
    """From when on rows must be computed so that months run one by one equal months run at once.

    What follows the last candle before ``start`` could not be settled then: nobody knew that no candle would follow.
    A run of the next month therefore begins there, not at its own first minute.

    Returns
    -------
    datetime
        The end of the last candle before ``start``; ``start`` where the history has none.
    """
    timeframe = settings.markets[market].timeframe
    last = store.tail(CANDLES, where={"market": market, "timeframe": timeframe}, before=start, rows=1)
    newest: datetime | None = last["ts"].max()  # type: ignore[assignment]
    if newest is None or newest < settings.history_start:
        return start
    return min(start, newest + timeframe_delta(timeframe))


def made_anew(
    window: Window, settings: Settings, start: datetime, end: datetime
) -> tuple[datetime | None, datetime | None]:
    """The rows that a run of a window replaces: those from ``start`` to ``end``, and beside the history all.

    A history that was cut leaves its candles, which came from an exchange, and nothing that was made of them.

    Returns
    -------
    tuple
        Start and end; None where the window is the first or the last of the history.
    """
    first = None if window.start <= settings.history_start else start
    return first, None if window.end == settings.history_end else end


def known_until(store: Store, market: str, timeframe: str, end: datetime) -> datetime | None:
    """Up to when candles are known: ``end``, or the end of the newest candle before it where nothing follows."""
    where = {"market": market, "timeframe": timeframe}
    newest = store.tail(CANDLES, where=where, before=datetime.max.replace(tzinfo=UTC), rows=1)
    return None if newest.is_empty() else min(end, newest["ts"][0] + timeframe_delta(timeframe))


def bar_start(moment: datetime, bar: timedelta) -> datetime:
    """The open of the bar that holds a moment; bars are counted from 1970-01-01 UTC."""
    return moment - (moment - _EPOCH) % bar
