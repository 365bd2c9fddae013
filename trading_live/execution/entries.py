"""Entries that a venue would take, and that would not be what was meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trading_assets.strategies.orders.contracts import size_of
from trading_assets.strategies.orders.matching import Matching
from trading_assets.strategies.signals import Signal

_READ_IN_COINS: Final = ("OKX",)
"""Venues that count contracts and whose account is asked and read in base units, so that journal and venue compare."""


class VenueEntries:
    """Asked before each entry; a text refuses it. Of simulated orders nothing is refused.

    Parameters
    ----------
    matching
        What becomes of orders.
    instrument
        Of a market, as the engine has it; None where it does not.
    """

    def __init__(self, matching: Matching, instrument: Callable[[str], Any | None]) -> None:
        self._matching = matching
        self._instrument = instrument

    def __call__(self, signal: Signal) -> str | None:
        """Why nothing may be entered on a signal."""
        if self._matching.simulated:
            return None
        if self._matching.binds and len(signal.plan.targets) > 1:
            return "an exit plan of several targets needs a perpetual: on spot one order binds the whole balance"
        instrument = self._instrument(signal.market)
        if instrument is None or (size := size_of(instrument)) is None:
            return None
        if instrument.id.venue.value not in _READ_IN_COINS:
            return (
                f"{instrument.id} is counted in contracts of {size.normalize():f}, and its account in what is not known"
            )
        return None
