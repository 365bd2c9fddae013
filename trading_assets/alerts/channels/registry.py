"""The ways to send that there are, by the kind that settings choose them by."""

from __future__ import annotations

from typing import Final

from trading_assets.alerts.channels.contract import Channel
from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins.seats import Seat
from trading_assets.settings.names import instead

_CHANNELS: Final = Seat[Channel]("alert channel")


def register[T: Channel](channel: type[T]) -> type[T]:
    """Add a way to send; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another one has that kind.
    """
    _CHANNELS.add_made(channel.kind, channel, called="kind")
    return channel


def channel_of(kind: str, where: str = "alerts.channels") -> Channel:
    """The way to send of a kind.

    Raises
    ------
    SettingsError
        If there is none.
    """
    known = _CHANNELS.known()
    if kind not in known:
        raise SettingsError(f"no alert channel of kind {kind!r}", where=where, remedy=instead(kind, known))
    return known[kind]


def known_channels() -> list[str]:
    """The kinds of the project and of the plug-ins in force."""
    return sorted(_CHANNELS.known())
