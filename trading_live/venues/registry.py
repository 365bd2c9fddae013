"""Venues by name: a module here for each value of ``node.venue``, and one for the local exchange."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from trading_assets.settings import Settings
from trading_live.venues.contract import Venue

REPLAY: Final = "replay"


def venue_of(settings: Settings) -> Venue:
    """The venue that the settings name; in the environment ``replay``, the local exchange.

    Raises
    ------
    SettingsError
        If the venue cannot be replayed.
    """
    node = settings.node
    if node.environment == REPLAY:
        found: Venue = import_module(f"{__package__}.{REPLAY}").replay_of(settings)
        return found
    return venue_class(node.venue)(settings)


def venue_class(name: str) -> type[Venue]:
    """The class of a venue; only its module, and with a client its adapter, is loaded."""
    found: type[Venue] = import_module(f"{__package__}.{name}").VENUE
    return found
