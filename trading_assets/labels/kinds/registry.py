"""The labels that there are, by the kind that settings choose them by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from trading_assets.core.errors import SettingsError
from trading_assets.labels.kinds.contract import Label
from trading_assets.settings import LabelSettings, add_label_settings

_labels: dict[str, type[Label[Any]]] = {}


def register[L: Label[Any]](label: type[L]) -> type[L]:
    """Add a label; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another label has that kind.
    """
    kind = label.kind()
    if (known := _labels.get(kind)) is not None:
        raise SettingsError(
            f"the label {kind!r} is there already, in {known.__module__}",
            where=f"{label.__module__}.{label.__qualname__}",
            remedy="give it another kind",
        )
    add_label_settings(label.section)
    _labels[kind] = label
    return label


def label_of(settings: LabelSettings) -> Label[Any]:
    """The label that a label set asks for.

    Raises
    ------
    SettingsError
        If none of its kind is registered.
    """
    found = _labels.get(settings.kind)
    if found is None:
        raise SettingsError(
            f"no label {settings.kind!r} is registered",
            where="labels",
            remedy=f"known: {', '.join(sorted(_labels))}; a plug-in must be loaded before its label sets are",
        )
    return found(settings)


def registered() -> Mapping[str, type[Label[Any]]]:
    """All labels by kind."""
    return MappingProxyType(_labels)
