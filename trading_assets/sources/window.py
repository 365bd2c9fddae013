"""The window of a request for candles: half open, time-zone aware, not empty."""

from __future__ import annotations

from datetime import datetime

from trading_assets.core.candles import EPOCH, timeframe_delta
from trading_assets.core.errors import SettingsError


def check_window(market: str, start: datetime, end: datetime) -> None:
    """Refuse a window without a time zone or without length.

    Raises
    ------
    SettingsError
        Names the market and the window.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise SettingsError(
            f"the window {start} to {end} has no time zone", where=market, remedy="give UTC times, e.g. 2025-01-01Z"
        )
    if start >= end:
        raise SettingsError(
            f"the range is empty: {start.isoformat()} is not before {end.isoformat()}",
            where=market,
            remedy="give an end after the start (the end is exclusive)",
        )


def last_close(now: datetime, timeframe: str) -> datetime:
    """The end of the newest bar that is closed at ``now``; bars are counted from 1970-01-01 UTC."""
    return now - (now - EPOCH) % timeframe_delta(timeframe)
