"""What a test registers is there for that test alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trading_assets.core.plugins.seats import SEATS, in_force, put_in_force
from trading_assets.settings.sections.kinds import Occupants


@contextmanager
def registered_here(*occupants: Occupants[Any, Any]) -> Iterator[None]:
    """Forget afterwards what was registered inside, and which plug-ins were in force."""
    entries = [(seat, {owner: dict(found) for owner, found in seat._entries.items()}) for seat in SEATS]
    found = [(one, dict(one._found)) for one in occupants]
    owners = in_force()
    try:
        yield
    finally:
        put_in_force(owners)
        for seat, before in entries:
            seat._entries = before
            seat.version += 1
        for one, things in found:
            one._found = things
