"""One market's price path by decision bars, and the next one in which something can happen.

Between two decision bars a path is a stretch. Where no order is on its way, and no price of the stretch reaches one
that rests, the exchange has nothing to do in it; where besides the strategy has nothing to say at its end, the stretch
can be left out, and the run is the same to the last bit.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

_FEW: Final = 32
_GROWTH: Final = 4
_DAY: Final = 86_400_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the next stretches of a market are looked through for.

    Attributes
    ----------
    below, above
        Prices at which an order that rests is reached.
    worst, best
        Prices that move what the strategy remembers of the trade at the end of a bar.
    until
        In microseconds: the end of the first bar at which the trade is closed in any case.
    each
        Whether the strategy has something to say at the end of every bar.
    """

    below: float = -math.inf
    above: float = math.inf
    worst: float = -math.inf
    best: float = math.inf
    until: float = math.inf
    each: bool = False


class Next(NamedTuple):
    """The next stretch in which something can happen.

    Attributes
    ----------
    number
        Of all stretches.
    whole
        Whether it is at a price inside of it; else at its end.
    """

    number: float
    whole: bool


NEVER: Final = Next(math.inf, whole=False)


class Track:
    """The stretches of one market.

    Parameters
    ----------
    path
        Slices of candles: ``at``, ascending, also those after the last decision bar.
    decisions
        Decision bars: ``at`` (their end), ``ts``, ``high``, ``low``, ascending.
    told
        (market, ``ts``) of the bars on which the strategy is told something.
    """

    def __init__(self, market: str, path: pl.DataFrame, decisions: pl.DataFrame, told: Container[Any]) -> None:
        self.market = market
        ends = microseconds(decisions["at"])
        self.ends: list[int] = ends.tolist()
        self.cuts: list[int] = [0, *np.searchsorted(microseconds(path["at"]), ends).tolist()]
        self.height = path.height
        self.numbers = self.ends
        self._low, self._high = decisions["low"].to_numpy(), decisions["high"].to_numpy()
        self._told = [number for number, ts in enumerate(decisions["ts"].to_list()) if (market, ts) in told]
        self._last_of_day: list[int] = np.flatnonzero(np.diff((ends - 1) // _DAY, append=np.inf)).tolist()

    def count_in(self, ends: np.ndarray[Any, Any]) -> None:
        """Number the stretches by the ends of those of all markets."""
        self.numbers = np.searchsorted(ends, self.ends).tolist()

    def is_told(self, own: int) -> bool:
        """Whether the strategy is told something at the end of a stretch of the market."""
        return _from(self._told, own) == own

    def own(self, number: int) -> int | None:
        """Which of the market's stretches has a number; None where it has no candle there."""
        at = self.latest_before(number + 1)
        return at if at >= 0 and self.numbers[at] == number else None

    def latest_before(self, number: int) -> int:
        """The market's last stretch before a number; -1 where there is none."""
        return bisect_left(self.numbers, number) - 1

    def next_of(self, watch: Watch | None, after: int) -> Next:
        """The first stretch after a number in which something can happen; without a watch, only what is told can."""
        start = bisect_right(self.numbers, after)
        last = _from(self._told, start)
        if watch is not None:
            closes = start if watch.each else max(bisect_left(self.ends, watch.until), start)
            last = min(last, closes, _from(self._last_of_day, start))
            stop = int(min(last + 1, len(self.ends)))
            found = self._beyond(start, stop, max(watch.below, watch.worst), min(watch.above, watch.best))
            if found < stop:
                reached = self._low[found] <= watch.below or self._high[found] >= watch.above
                return Next(self.numbers[found], whole=bool(reached))
        return NEVER if last >= len(self.ends) else Next(self.numbers[int(last)], whole=False)

    def _beyond(self, start: int, stop: int, below: float, above: float) -> int:
        """The first stretch in [start, stop) that reaches one of two prices; ``stop`` where none does."""
        size = _FEW
        while start < stop:
            end = min(start + size, stop)
            hit = (self._low[start:end] <= below) | (self._high[start:end] >= above)
            at = int(hit.argmax())
            if hit[at]:
                return start + at
            start, size = end, size * _GROWTH
        return stop


def _from(numbers: Sequence[int], least: int) -> float:
    """The first of ascending numbers that is not below one."""
    at = bisect_left(numbers, least)
    return numbers[at] if at < len(numbers) else math.inf


def microseconds(times: pl.Series) -> np.ndarray[Any, Any]:
    """Times as whole numbers."""
    return times.dt.epoch("us").to_numpy()
