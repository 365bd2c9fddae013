"""What a stream of trades lacks: holes in the exchange's consecutive numbers. Pure, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Hole:
    """Numbers that did not come.

    Attributes
    ----------
    first, last
        The missing numbers, both included.
    since_us, until_us
        The exchange's times of the trades before and after, in microseconds.
    reason
        Why, as far as is known.
    seen_us
        When the trade after the hole was received, in microseconds.
    """

    first: int
    last: int
    since_us: int
    until_us: int
    reason: str
    seen_us: int

    @property
    def missing(self) -> int:
        """How many numbers are missing."""
        return self.last - self.first + 1


@dataclass(slots=True)
class SequenceGaps:
    """Watches the numbers of one market's trades.

    A number that comes late fills its hole; one that came before changes nothing.

    Parameters
    ----------
    newest
        The last number before, if it is known.
    newest_us
        The exchange's time of that trade, in microseconds.
    """

    newest: int | None = None
    newest_us: int = 0
    holes: list[Hole] = field(default_factory=list)

    def see(self, number: int, ts_us: int, *, received_us: int, reason: str) -> None:
        """Take note of a trade.

        Parameters
        ----------
        number
            The exchange's number of the trade.
        ts_us, received_us
            The exchange's time and the recorder's, in microseconds.
        reason
            Why numbers are missing, should there be some between the newest one and this.
        """
        if self.newest is None or number > self.newest:
            if self.newest is not None and number > self.newest + 1:
                hole = Hole(self.newest + 1, number - 1, self.newest_us, ts_us, reason, received_us)
                self.holes.append(hole)
            self.newest, self.newest_us = number, max(ts_us, self.newest_us)
        elif self.holes:
            self.holes = [rest for hole in self.holes for rest in _without(hole, number, ts_us)]

    def ripe(self, before_us: int) -> list[Hole]:
        """Take out the holes that were seen before an instant: nothing late is expected for them any more."""
        ripe = [hole for hole in self.holes if hole.seen_us < before_us]
        self.holes = [hole for hole in self.holes if hole.seen_us >= before_us]
        return ripe


def _without(hole: Hole, number: int, ts_us: int) -> list[Hole]:
    if not hole.first <= number <= hole.last:
        return [hole]
    before = Hole(hole.first, number - 1, hole.since_us, ts_us, hole.reason, hole.seen_us)
    after = Hole(number + 1, hole.last, ts_us, hole.until_us, hole.reason, hole.seen_us)
    return [rest for rest in (before, after) if rest.missing > 0]
