"""Requests for bars: one at a time, because an empty answer does not say whose it is. No engine, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trading_assets.strategies.signals import Stream

ANSWER_S: Final = 10.0
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class BarRequest:
    """A range of missing bars, or a page of the warm-up.

    Attributes
    ----------
    since, until
        The missing range's first open and its end; None for a warm-up page.
    attempts
        How often it was sent.
    """

    since: datetime | None = None
    until: datetime | None = None
    attempts: int = 0


class BarRequests:
    """What is asked of the venue, stream by stream.

    Parameters
    ----------
    monotonic
        Seconds that only grow.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.underway: Stream | None = None
        self._send: Callable[[Stream, BarRequest], object] | None = None
        self._monotonic = monotonic
        self._waiting: dict[Stream, BarRequest] = {}
        self._sent_at = 0.0

    def __len__(self) -> int:
        """How many answers are still to come."""
        return len(self._waiting)

    def send_by(self, send: Callable[[Stream, BarRequest], object]) -> None:
        """Send by this from now on; what was asked before is sent then."""
        self._send = send
        self._send_next()

    def ask(self, stream: Stream, request: BarRequest) -> None:
        """Send a request, or put it behind those that wait; it replaces the market's former one."""
        self._waiting[stream] = request
        self._send_next()

    def answered(self, stream: Stream) -> BarRequest | None:
        """Take out the request that an answer belongs to; None for an answer that nobody waits for any more.

        Call :meth:`go_on` when the answer is dealt with.
        """
        if stream == self.underway:
            self.underway = None
        return self._waiting.pop(stream, None)

    def go_on(self) -> None:
        """Send the next one."""
        self._send_next()

    def chase(self) -> Stream | None:
        """Ask again for what was not answered in time, behind the others.

        Returns
        -------
        Stream or None
            The stream whose history did not come in all its attempts; it is not asked for again.
        """
        stream = self.underway
        if stream is None or self._monotonic() - self._sent_at < ANSWER_S:
            return None
        self.underway = None
        request = self._waiting.pop(stream, None)
        given_up = request is not None and request.since is None and request.attempts >= ATTEMPTS
        if request is not None and not given_up:
            self._waiting[stream] = request
        self._send_next()
        return stream if given_up else None

    def _send_next(self) -> None:
        if self._send is None or self.underway is not None or not self._waiting:
            return
        stream, request = next(iter(self._waiting.items()))
        request = self._waiting[stream] = replace(request, attempts=request.attempts + 1)
        self.underway, self._sent_at = stream, self._monotonic()
        self._send(stream, request)
