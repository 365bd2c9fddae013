"""Windows that mean a length of time: so many bars on each timeframe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.timeframes import Timeframe


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time that a feature looks at, e.g. a day: 96 bars of 15 minutes, 24 of an hour.

    A window that means bars, such as the 14 of an RSI, is a number.

    >>> Span("7d").bars(Timeframe.parse("4h"))
    42
    """

    name: str

    @property
    def length(self) -> timedelta:
        """The time itself."""
        return timeframe_delta(self.name)

    @property
    def micros(self) -> int:
        """The time in microseconds, the unit of ``ts``."""
        return self.length // timedelta(microseconds=1)

    def bars(self, timeframe: Timeframe) -> int:
        """How many bars of a timeframe cover it; at least one."""
        return timeframe.bars(self.length)

    def is_whole(self, timeframe: Timeframe) -> bool:
        """Whether bars of a timeframe fill it exactly."""
        return not self.length % timeframe.length

    def __str__(self) -> str:
        return self.name


type Window = int | Span
"""A number of bars, or a length of time."""

HOUR: Final = Span("1h")
FOUR_HOURS: Final = Span("4h")
DAY: Final = Span("1d")
WEEK: Final = Span("7d")


def bars_of(window: Window, timeframe: Timeframe) -> int:
    """A window in bars of a timeframe."""
    return window.bars(timeframe) if isinstance(window, Span) else window
