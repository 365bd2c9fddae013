"""Back-pressure: the replay goes no further ahead of its node than a bar or two."""

from __future__ import annotations

from typing import Final

HEARD: Final = "/replay/heard"
"""Where a node says how far it has come: ``?ms=`` the end of the newest bar that it has dealt with. Not the venue's."""

AHEAD_MS: Final = 30 * 60_000
"""Two decision bars: less, and each pause of the node's would slow the replay."""

_STUCK_S: Final = 5.0
"""A node that says nothing new for so long is not waited for: it has left, or it waits for the replay."""


class Pace:
    """How far the node is behind what was sent.

    A client that never says how far it is (a recorder, another program) is never waited for.

    Attributes
    ----------
    held_s
        Seconds that the replay has waited in all.
    """

    def __init__(self) -> None:
        self.held_s = 0.0
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

    def must_wait(self, now_s: float, *, ahead_ms: int = AHEAD_MS) -> bool:
        """Whether the node is too far behind, and still at work."""
        if self._heard_ms is None or self._sent_ms is None:
            return False
        return self._sent_ms - self._heard_ms > ahead_ms and now_s - self._heard_at_s < _STUCK_S
