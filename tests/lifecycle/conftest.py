from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lifecycle.shelf import MARKET, Shelf, learnt
from trading_assets.models import Dataset
from trading_assets.models.training import TrainedModel
from trading_assets.settings import Settings
from trading_assets.store import Store

if TYPE_CHECKING:
    from conftest import PlantedFrames


@pytest.fixture(scope="session")
def model(planted: PlantedFrames) -> tuple[Dataset, TrainedModel]:
    return learnt(planted(days=12, markets=(MARKET,)))


@pytest.fixture
def shelf(settings: Settings, store: Store, model: tuple[Dataset, TrainedModel]) -> Shelf:
    return Shelf(settings, store, model)
