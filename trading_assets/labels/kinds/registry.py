"""The labels that there are, by the kind that settings choose them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trading_assets.labels.kinds.contract import Label
from trading_assets.settings import LabelSettings
from trading_assets.settings.sections.kinds import Occupants
from trading_assets.settings.sections.labels import LABELS

_LABELS = Occupants[LabelSettings, type[Label[Any]]](LABELS)


def register[L: Label[Any]](label: type[L]) -> type[L]:
    """Add a label; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another label has that kind.
    """
    _LABELS.add(label.section, label, by=label)
    return label


def label_of(settings: LabelSettings) -> Label[Any]:
    """The label that a label set asks for.

    Raises
    ------
    ModelError
        If none of its kind is registered.
    """
    return _LABELS.of(settings)(settings)


def registered() -> Mapping[str, type[Label[Any]]]:
    """Labels by kind: those of the project and of the plug-ins in force."""
    return _LABELS.known()
