"""A small project whose tables the assets made; made once for all workers."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from tests.defs.small import SYNA, Location, fill
from tests.shared import made_once
from trading_assets import research
from trading_assets.research import Project

SETTINGS = Path(__file__).with_name("small.yaml")


@pytest.fixture(scope="session")
def made_by_the_assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder after the backtest of its model; who writes takes a copy."""

    def make(folder: Path) -> None:
        location = Location(SETTINGS)
        settings = location.settings(folder)
        fill(location, settings, SYNA, "2025-01", "2025-02")
        instance = dg.DagsterInstance.ephemeral()
        for assets in (("walk_forward", "candidate"), ("backtest",)):
            assert location.materialize(settings, *assets, instance=instance, partition="syna").success

    return made_once(tmp_path_factory, "researched", make)


@pytest.fixture
def project(made_by_the_assets: Path, tmp_path: Path) -> Project:
    """The project with a copy of that folder."""
    return research.load(SETTINGS, data_dir=shutil.copytree(made_by_the_assets, tmp_path / "data"))
