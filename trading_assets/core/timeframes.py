"""The timeframes that decisions are made on, and how many of their bars a length of time has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from trading_assets.core.candles import timeframe_minutes
from trading_assets.core.errors import SettingsError

MINUTES_OF_A_DAY: Final = 1440


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """The length of the bars that a decision is made on; it divides the day, so that bars open at midnight UTC.

    Sorted from the finest to the coarsest.

    >>> Timeframe.parse("4h").length
    datetime.timedelta(seconds=14400)
    >>> Timeframe.parse("15m").bars(timedelta(days=7))
    672
    >>> Timeframe.parse("60m") == Timeframe.parse("1h")
    True
    """

    minutes: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a timeframe such as ``1m``, ``15m``, ``4h`` or ``1d``.

        Raises
        ------
        SettingsError
            If the text is no timeframe, or one that does not divide the day.
        """
        minutes = timeframe_minutes(text)
        if MINUTES_OF_A_DAY % minutes:
            raise SettingsError(
                f"timeframe {text!r} does not divide the day, so its bars would not open at midnight",
                remedy="choose one that does, e.g. 1m, 5m, 15m, 30m, 1h, 2h, 4h, 1d",
            )
        return cls(minutes)

    @property
    def name(self) -> str:
        """As CCXT writes it, in the largest unit that fits: ``90m``, ``1h``, ``1d``."""
        for unit, size in (("d", MINUTES_OF_A_DAY), ("h", 60)):
            if self.minutes % size == 0:
                return f"{self.minutes // size}{unit}"
        return f"{self.minutes}m"

    @property
    def length(self) -> timedelta:
        """From a bar's open to its close."""
        return timedelta(minutes=self.minutes)

    @property
    def micros(self) -> int:
        """Its length in microseconds, the unit of ``ts``."""
        return self.minutes * 60_000_000

    def bars(self, span: timedelta) -> int:
        """How many bars cover a span of time: at least one, the last one whole."""
        return max(-(-span // self.length), 1)

    def is_built_from(self, candles: str) -> bool:
        """Whether its bars can be built from candles of a timeframe: equal ones, or finer ones that divide it."""
        return self.minutes % timeframe_minutes(candles) == 0

    def __str__(self) -> str:
        return self.name


TIMEFRAMES: Final = tuple(
    Timeframe(minutes) for minutes in range(1, MINUTES_OF_A_DAY + 1) if MINUTES_OF_A_DAY % minutes == 0
)
"""All there are, the finest first."""
