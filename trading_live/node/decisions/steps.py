"""Where a decision would look across a step of the price level: no model has learnt from such rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from trading_assets.core.precision import significant
from trading_assets.quality.steps import level_steps
from trading_assets.strategies.signals import Stream


class PriceSteps:
    """Says what a decision would look across.

    Parameters
    ----------
    events
        Market -> when what the settings tell of it took effect.
    min_step
        The least factor of a lasting step of the price; see :func:`trading_assets.quality.steps.level_steps`.
    """

    def __init__(self, events: Mapping[str, Sequence[datetime]], min_step: float) -> None:
        self._events = events
        self._min_step = min_step

    def crossed(self, stream: Stream, bars: pl.DataFrame, *, look_back: int, reach: timedelta) -> str | None:
        """The event or step that bars reach across, or whose time comes within ``reach``; None where there is none.

        Parameters
        ----------
        stream, bars
            The newest bars of a market, ascending.
        look_back
            How many of them are read.
        reach
            How far a trade goes beyond the newest one.
        """
        if bars.is_empty():
            return None
        first, known = bars["ts"][-min(look_back, bars.height)], bars["known_at"][-1]
        for at in self._events.get(stream.market, ()):
            if first < at < known + reach:
                return f"an event at {at:%Y-%m-%d %H:%M} lies within look-back or horizon"
        found = level_steps(bars, timeframe=stream.timeframe, min_factor=self._min_step, least_after=1)
        if found.is_empty() or not found["ts"][-1] > first:
            return None
        at, before, after = found.select("ts", "before", "after").row(-1)
        levels = f"{significant(before, 4)} to {significant(after, 4)}"
        return f"the price stepped from {levels} at {at:%Y-%m-%d %H:%M}, within the look-back"
