"""What the state machine is told at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from trading_assets.strategies.protections.states import Scope


class Reading(NamedTuple):
    """One measured value.

    Attributes
    ----------
    cause
        What was measured: the key of `trading.protections` whose limit it is held against.
    scope
        What it was measured of.
    value
        In the unit of the limit.
    until
        When the value begins anew by itself, e.g. a day's loss at midnight; None where it does not.
    """

    cause: str
    scope: Scope
    value: float
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All readings of one moment; what is not among them is not known and changes nothing.

    Attributes
    ----------
    now
        The market's time, UTC.
    readings
        At most one of a cause and scope.
    """

    now: datetime
    readings: tuple[Reading, ...] = ()
