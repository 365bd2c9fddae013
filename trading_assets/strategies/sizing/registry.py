"""The sizings that there are, by the kind that settings choose them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trading_assets.settings import SizingSettings
from trading_assets.settings.sections.kinds import Occupants
from trading_assets.settings.sections.sizing import SIZINGS
from trading_assets.strategies.sizing.base import Sizing

_SIZINGS = Occupants[SizingSettings, type[Sizing[Any]]](SIZINGS)


def register[Z: Sizing[Any]](sizing: type[Z]) -> type[Z]:
    """Add a sizing; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another sizing has that kind.
    """
    _SIZINGS.add(sizing.section, sizing, by=sizing)
    return sizing


def sizing_of(parameters: SizingSettings) -> Sizing[Any]:
    """The sizing that a section of the settings describes.

    Raises
    ------
    ModelError
        If none of its kind is registered.
    """
    return _SIZINGS.of(parameters)(parameters)


def registered() -> Mapping[str, type[Sizing[Any]]]:
    """Sizings by kind: those of the project and of the plug-ins in force."""
    return _SIZINGS.known()
