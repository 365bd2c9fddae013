"""The small code location, and the tables that an undisturbed run leaves; both are made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.defs.small import MONTHS, Location, Recorded, Undisturbed
from tests.shared import made_once


@pytest.fixture(scope="session")
def location() -> Location:
    """The code location with two markets and ten weeks of history."""
    return Location()


@pytest.fixture(scope="session")
def undisturbed(location: Location, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Candles through labels of both markets, made by the worker that asks first; tests only read it."""

    def make(folder: Path) -> None:
        settings = location.settings(folder)
        for number, market in enumerate(settings.markets):
            run = location.run(settings, "market_data", tags=location.months(market, MONTHS[0], MONTHS[-1]))
            (folder / f"{number}.json").write_text(Recorded.of(run).written())

    made, mine = made_once(tmp_path_factory, "undisturbed", make), tmp_path_factory.mktemp("undisturbed")
    shutil.copyfile(made / "market.duckdb", mine / "market.duckdb")
    settings = location.settings(mine)
    told = [Recorded.read((made / f"{number}.json").read_text()) for number in range(len(settings.markets))]
    return Undisturbed(settings, dict(zip(settings.markets, told, strict=True)))
