"""Back-pressure: the replay goes no further ahead of its node than a bar or two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

HEARD: Final = "/replay/heard"
"""Where a node says how far it has come: ``?ms=`` the end of the newest bar that it has dealt with, and ``&ahead_ms=``
how far the replay may be ahead of it. Not the venue's."""

AHEAD_MS: Final = 30 * 60_000
"""Two decision bars: less, and each pause of the node's would slow the replay."""

ORDERS_AHEAD_MS: Final = 15 * 60_000
"""Where a node's orders are filled here: they arrive so much too late at most, by the market's time. Less, and a day
takes as long as its hundreds of reports do."""

_GONE_S: Final = 5.0
_STUCK_S: Final = 60.0
"""A node that says nothing new for so long is not waited for: it has left, or, where somebody listens, it is stuck. On
a busy machine a node that is at work may say nothing for seconds."""


class Pace:
    """How far the node is behind what was sent.

    A client that never says how far it is (a recorder, another program) is never waited for.

    Parameters
    ----------
    listened
        Whether anybody is connected and listens.

    Attributes
    ----------
    held_s
        Seconds that the replay has waited in all.
    ahead_ms
        How far the replay may be ahead of the node, by the market's time.
    """

    def __init__(self, listened: Callable[[], bool] = lambda: True) -> None:
        self._listened = listened
        self.held_s = 0.0
        self.ahead_ms = AHEAD_MS
        self._heard_ms: int | None = None
        self._heard_at_s = 0.0
        self._sent_ms: int | None = None

    def hear(self, until_ms: int, now_s: float) -> None:
        """The node has dealt with what closed up to an instant."""
        if until_ms != self._heard_ms:
            self._heard_ms, self._heard_at_s = until_ms, now_s

    def sent(self, close_ms: int) -> None:
        """A bar went to somebody."""
        self._sent_ms = close_ms

    def forget(self) -> None:
        """The connections are lost, and what was under way with them."""
        self._sent_ms = None

    def must_wait(self, now_s: float, *, ahead_ms: int | None = None) -> bool:
        """Whether the node is too far behind, and still at work."""
        ahead_ms = self.ahead_ms if ahead_ms is None else ahead_ms
        if self._heard_ms is None or self._sent_ms is None:
            return False
        if self._sent_ms - self._heard_ms <= ahead_ms:
            return False
        return now_s - self._heard_at_s < (_STUCK_S if self._listened() else _GONE_S)
