"""Closed bars on their way to a decision: which must wait for another bar, and which are decided on together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from trading_assets.core.candles import timeframe_minutes
from trading_assets.strategies.signals import ClosedBar, Stream

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class DecisionQueue:
    """Holds back a bar until those have come that its decision needs.

    Parameters
    ----------
    leader_of
        The other market whose bar of the same close and timeframe a stream's decision reads, or None; without it, none
        reads any.
    finer
        The timeframe of the bars that a decision waits for where they end with it; None where it waits for none.
    """

    def __init__(self, leader_of: Callable[[Stream], str | None] | None, *, finer: str | None) -> None:
        self._waits = leader_of is not None or finer is not None
        self._leader_of = leader_of or (lambda _: None)
        self._awaited = finer
        self._finer: dict[str, datetime] = {}
        self._decided: dict[Stream, datetime] = {}
        self._bars: list[ClosedBar] = []

    def __len__(self) -> int:
        """How many bars wait for their decision."""
        return len(self._bars)

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
        return sum(not self._must_wait(bar, bar.stream, now) for bar in self._bars)

    def take(self, now: datetime) -> list[ClosedBar]:
        """Take out the bars to decide on next, one of a stream, the coarser ones first.

        Of one timeframe, leaders come before those that read them.
        """
        if len(self._bars) < 2 and not self._waits:  # as in a backtest of one market, at each of a million bars
            alone, self._bars = self._bars, []
            return alone
        taken: dict[Stream, ClosedBar] = {}
        found = -1
        while self._bars and found != len(taken):  # a leader that is taken lets those go that come before it here
            found = len(taken)
            left = []
            for bar in self._bars:
                stream = bar.stream
                if stream in taken or self._must_wait(bar, stream, now):
                    left.append(bar)
                else:
                    self._decided[stream] = bar.known_at
                    taken[stream] = bar
            self._bars = left
        if len(taken) < 2:
            return list(taken.values())
        return sorted(taken.values(), key=lambda bar: -timeframe_minutes(bar.timeframe))

    def _must_wait(self, bar: ClosedBar, stream: Stream, now: datetime) -> bool:
        """Whether a bar that the decision needs is still to come: the finer one that ends with it, another market's."""
        finer = self._awaited if bar.timeframe != self._awaited else None
        if finer is not None and self._finer.get(bar.market, _NEVER) < bar.known_at:
            return True
        leader = self._leader_of(stream)
        if leader is None or self._decided.get(Stream(leader, bar.timeframe), _NEVER) >= bar.known_at:
            return False
        return now <= bar.known_at
