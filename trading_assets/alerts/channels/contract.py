"""What a way to send alerts offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from trading_assets.alerts.alert import Level


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: plain text."""

    level: Level
    title: str
    body: str


class SendError(Exception):
    """A message was not taken; says why, without any part of the address."""


class Channel(Protocol):
    """Sends one message to one address.

    Attributes
    ----------
    kind
        What settings call it.
    """

    kind: str

    def send(self, address: str, message: Message, timeout_s: float) -> None:
        """Send it, and return when it was taken.

        It is called in a thread of its own, which is left alone when it takes too long.

        Raises
        ------
        SendError
            If it was not taken.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """A channel that has something to load; a process that trades has that done before it begins to."""

    def prepare(self, address: str) -> None:
        """Load what sending to this address takes."""
        ...
