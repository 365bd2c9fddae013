"""What time it is, as something that is given: who decides by the time asks the clock that it was handed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers with the time of now, UTC."""


def utc_now() -> datetime:
    """The time by the clock of this machine."""
    return datetime.now(UTC)
