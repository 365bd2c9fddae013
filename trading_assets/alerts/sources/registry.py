"""The sources that there are, by the name that settings choose them by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trading_assets.alerts.sources.contract import Source
from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins.seats import Seat
from trading_assets.settings.names import instead

_SOURCES: Final = Seat[Source]("alert source")


def register[T: Source](source: type[T]) -> type[T]:
    """Add a source; a decorator of its class, so that settings may name it from then on.

    Raises
    ------
    SettingsError
        If another one has that name.
    """
    _SOURCES.add_made(source.name, source)
    return source


def sources_of(names: Sequence[str]) -> list[Source]:
    """The sources of these names; all that there are where none is named.

    Raises
    ------
    SettingsError
        If there is none of a name.
    """
    known = _SOURCES.known()
    for name in names:
        if name not in known:
            raise SettingsError(f"no alert source {name!r}", where="alerts.sources", remedy=instead(name, known))
    return [known[name] for name in names or known]


def known_sources() -> list[str]:
    """The names of those of the project and of the plug-ins in force."""
    return sorted(_SOURCES.known())
