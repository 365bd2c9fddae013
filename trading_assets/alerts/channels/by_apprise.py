"""Apprise: a hundred services by their addresses, among them Telegram, Discord, Slack, e-mail, SMS gateways, JSON.

It says of a failure that there was one, and the rest in its log: that is listened to here, so that a message can say
why, and goes nowhere else, as it may name the address. So may what an HTTP library logs meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from trading_assets.alerts.alert import Level
from trading_assets.alerts.channels.contract import Message, SendError
from trading_assets.alerts.channels.registry import register
from trading_assets.core.secrets import MASK, parts_of, without_secrets

_TYPES: Final = {Level.INFO: "info", Level.WARNING: "warning", Level.CRITICAL: "failure"}
_SHORTEST: Final = 3
_TALKERS: Final = ("apprise", "urllib3.connectionpool", "requests", "smtplib", "paho")


@register
class ByApprise:
    """Sends by the library of that name."""

    kind = "apprise"

    def prepare(self, address: str) -> None:
        """Load the library, and its part for this address."""
        import apprise

        with _heard_here():
            apprise.Apprise.instantiate(address, suppress_exceptions=True)

    def send(self, address: str, message: Message, timeout_s: float) -> None:
        """See :class:`Channel`."""
        import apprise

        with _heard_here() as said:
            try:
                service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
                if service is None:
                    raise SendError("apprise knows no such address")
                service.socket_connect_timeout = service.socket_read_timeout = timeout_s / 2
                taken = service.notify(
                    body=message.body,
                    title=message.title,
                    notify_type=apprise.NotifyType(_TYPES[message.level]),
                    body_format=apprise.NotifyFormat.TEXT,  # else a mail, which may be HTML, has all on one line
                )
            except SendError:
                raise
            except Exception as error:
                raise SendError(without_address(f"{type(error).__name__}: {error}", address)) from None
        if not taken:
            raise SendError(without_address(said[-1] if said else "it was not taken", address))


def without_address(text: str, address: str) -> str:
    """A text on one line, with the address and every part of it replaced by ``***``.

    >>> without_address("no answer of example.org", "json://example.org/abc")
    'no answer of ***'
    """
    parts = sorted((one for one in (address, *parts_of(address)) if len(one) >= _SHORTEST), key=len, reverse=True)
    for part in parts:
        text = text.replace(part, MASK)
    (text,) = without_secrets(" ".join(text.split()))
    return text


class _Listener(logging.Filter):
    """Takes for itself what is logged in the threads that send."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[int, list[str]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is anybody else's."""
        said = self.heard.get(threading.get_ident())
        if said is None:
            return True
        if record.name.startswith("apprise") and record.levelno >= logging.WARNING:
            said.append(record.getMessage())
        return False


_LISTENER: Final = _Listener()


@contextmanager
def _heard_here() -> Iterator[list[str]]:
    """What apprise says of this thread's work; nothing that is said meanwhile reaches a log."""
    for name in _TALKERS:
        logging.getLogger(name).addFilter(_LISTENER)  # the same one again is no second one
    here = threading.get_ident()
    said = _LISTENER.heard[here] = []
    try:
        yield said
    finally:
        del _LISTENER.heard[here]
