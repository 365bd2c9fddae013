"""What a caller may say: a time, markets, settings that are to be otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from trading_assets.core.errors import SettingsError

Moment = datetime | date | str
"""A time; without a zone it is UTC. A text is in ISO's form: ``2025-02-01``, ``2025-02-01T12:00``."""

Markets = str | Sequence[str] | None
"""One market, several, or None for all of the project."""


def laid_over(below: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Section by section; one of another kind as a whole, as the parameters of one kind are not those of another."""
    merged = dict(below)
    for key, value in changes.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            same = value.get("kind", under.get("kind")) == under.get("kind")
            value = laid_over(under, value) if same else value
        merged[key] = value
    return merged


def moment(told: Moment | None) -> datetime | None:
    """The time that is meant, in UTC; None where none is."""
    if told is None:
        return None
    if isinstance(told, str):
        try:
            told = datetime.fromisoformat(told)
        except ValueError:
            raise SettingsError(f"no time: {told!r}", remedy="e.g. 2025-02-01 or 2025-02-01T12:00") from None
    if not isinstance(told, datetime):
        told = datetime.combine(told, time())
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
