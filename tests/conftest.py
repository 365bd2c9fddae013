"""Small real things that many tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets.settings import Settings, load_settings
from trading_assets.store import Store, open_store

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The project's own settings with everything a run writes in a temporary folder."""
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty embedded store in a temporary folder."""
    return open_store(f"duckdb:///{tmp_path / 'market.duckdb'}")


@pytest.fixture(scope="session")
def real_candles() -> Path:
    """The folder of recorded Binance candles that may lie beside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no recorded candles at {SHARED_DATA.name}: they are not part of the project")
    return SHARED_DATA
