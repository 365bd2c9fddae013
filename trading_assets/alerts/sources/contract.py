"""What a source of alerts offers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trading_assets.alerts.alert import Alert
from trading_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found.

    Attributes
    ----------
    found
        All that is wrong now.
    covers
        Patterns of keys that it speaks for: a matter of such a key that it does not find is over.
    """

    found: tuple[Alert, ...] = ()
    covers: tuple[str, ...] = ()


class Source(Protocol):
    """Looks at something, and says what is wrong there now.

    Attributes
    ----------
    name
        What settings call it.
    """

    name: str

    def look(self, settings: Settings, now: datetime) -> Looked:
        """Look; what it raises is an alert, too."""
        ...
