"""Closed bars on their way to a decision: which must wait for another bar, and which are decided on together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trading_assets.core.candles import timeframe_minutes
from trading_assets.strategies.signals import ClosedBar, Stream


class DecisionQueue:
    """Holds back a bar until those have come that its decision needs.

    Parameters
    ----------
    leader_of
        The other market whose bar of the same close and timeframe a stream's decision reads, or None.
    finer
        The timeframe of the bars that a decision waits for where they end with it; None where it waits for none.
    """

    def __init__(self, leader_of: Callable[[Stream], str | None], *, finer: str | None) -> None:
        self._leader_of = leader_of
        self._awaited = finer
        self._finer: dict[str, datetime] = {}
        self._decided: dict[Stream, datetime] = {}
        self._bars: list[ClosedBar] = []

    def add(self, bar: ClosedBar) -> None:
        """Take a bar that is to be decided on."""
        self._bars.append(bar)

    def finer_ended(self, market: str, at: datetime) -> None:
        """Note that a market's finer bar has ended."""
        self._finer[market] = at

    def ready(self, now: datetime) -> int:
        """How many bars need not wait any longer.

        Parameters
        ----------
        now
            The newest end of any bar.
        """
        return sum(not self._must_wait(bar, now) for bar in self._bars)

    def take(self, now: datetime) -> list[ClosedBar]:
        """Take out the bars to decide on next, one of a stream, the coarser ones first.

        Of one timeframe, leaders come before those that read them.
        """
        taken: dict[Stream, ClosedBar] = {}
        while bar := next((b for b in self._bars if b.stream not in taken and not self._must_wait(b, now)), None):
            self._bars.remove(bar)
            self._decided[bar.stream] = bar.known_at
            taken[bar.stream] = bar
        return sorted(taken.values(), key=lambda bar: -timeframe_minutes(bar.timeframe))

    def _must_wait(self, bar: ClosedBar, now: datetime) -> bool:
        """Whether a bar that the decision needs is still to come: the finer one that ends with it, another market's."""
        first = datetime.min.replace(tzinfo=bar.known_at.tzinfo)
        finer = self._awaited if bar.timeframe != self._awaited else None
        if finer is not None and self._finer.get(bar.market, first) < bar.known_at:
            return True
        leader = self._leader_of(bar.stream)
        if leader is None or self._decided.get(Stream(leader, bar.timeframe), first) >= bar.known_at:
            return False
        return now <= bar.known_at
