"""The drift tests that there are, by the name that settings choose them by."""

from __future__ import annotations

from typing import Final

from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins.seats import Seat
from trading_assets.monitoring.drift_tests.contract import DriftTest
from trading_assets.settings.names import instead

_TESTS: Final = Seat[DriftTest]("drift test")


def register[T: DriftTest](test: type[T]) -> type[T]:
    """Add a drift test; a decorator of its class, so that settings may name it from then on.

    Raises
    ------
    SettingsError
        If another one has that name.
    """
    _TESTS.add_made(test.name, test)
    return test


def drift_test(name: str) -> DriftTest:
    """The test of that name.

    Raises
    ------
    SettingsError
        If there is none.
    """
    known = _TESTS.known()
    if name not in known:
        raise SettingsError(f"no drift test {name!r}", where="drift.tests", remedy=instead(name, known))
    return known[name]


def known_tests() -> list[str]:
    """The names of those of the project and of the plug-ins in force."""
    return sorted(_TESTS.known())
