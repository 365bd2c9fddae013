"""The small code location, and the tables that an undisturbed run leaves; both are made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.defs.small import MONTHS, Location, Undisturbed


@pytest.fixture(scope="session")
def location() -> Location:
    """The code location with two markets and ten weeks of history."""
    return Location()


@pytest.fixture(scope="module", autouse=True)
def _in_place(location: Location) -> Iterator[None]:
    """Within the modules of this folder alone: what follows them in the same process must not see it."""
    with location.in_place():
        yield


@pytest.fixture(scope="session")
def undisturbed(location: Location, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Candles through labels of both markets; tests only read it."""
    with location.in_place():
        settings = location.settings(tmp_path_factory.mktemp("undisturbed"))
        results = {
            market: location.run(settings, "market_data", tags=location.months(market, MONTHS[0], MONTHS[-1]))
            for market in settings.markets
        }
    return Undisturbed(settings, results)
