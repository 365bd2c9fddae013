"""When a pass begins: bars of many markets that close together are decided on together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from trading_assets.core.candles import EPOCH, timeframe_delta
from trading_assets.strategies.host.queue import DecisionQueue
from trading_assets.strategies.signals import Stream

_MINUTE: Final = timedelta(minutes=1)
_MOST_WAITS: Final = 4
"""A pass waits so often for further bars at most, while each wait brings some."""


class Gathering:
    """Waits a moment for other markets' bars of the same close: many cost little more than one.

    Parameters
    ----------
    queue
        Of the bars that are to be decided on.
    streams
        Whose bars these are.
    wait
        How long a pass waits for further ones; None for not at all.
    alert
        Told to ask :meth:`goes_on` after so long.
    """

    def __init__(
        self,
        queue: DecisionQueue,
        streams: Iterable[Stream],
        wait: timedelta | None,
        alert: Callable[[timedelta], None],
    ) -> None:
        self._queue = queue
        self._lengths = Counter(timeframe_delta(stream.timeframe) for stream in streams)
        self._wait = wait
        self._alert = alert
        self._gathered: list[int] = []

    def waits(self, now: datetime) -> bool:
        """Whether a pass is to wait, now that another bar has come.

        Parameters
        ----------
        now
            The newest end of any bar.
        """
        if self._wait is None:
            return False
        ready = self._queue.ready(now)
        if not 0 < ready < self._closing_together(now):
            return False
        if not self._gathered:
            self._begin(ready, self._wait)
        return True

    def goes_on(self, now: datetime) -> bool:
        """Whether to wait again: more bars came meanwhile, and a pass of its own for the rest would cost more."""
        ready = self._queue.ready(now)
        if (
            self._wait is not None
            and len(self._gathered) < _MOST_WAITS
            and self._gathered
            and ready > self._gathered[-1]
        ):
            self._begin(ready, self._wait)
            return True
        self._gathered.clear()
        return False

    def _begin(self, ready: int, wait: timedelta) -> None:
        self._gathered.append(ready)
        self._alert(wait)

    def _closing_together(self, now: datetime) -> int:
        """How many of the bars that are decided on end at this moment."""
        minute = round((now - EPOCH) / _MINUTE) * _MINUTE
        return sum(count for length, count in self._lengths.items() if not minute % length)
