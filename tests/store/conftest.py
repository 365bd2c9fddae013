"""The engines that the store's tests run against: another one joins with one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import postgres_server, timescale_server
from trading_assets.store import Store, open_store

ENGINES: dict[str, Callable[[Path], str]] = {
    "duckdb": lambda folder: f"duckdb:///{folder / 'market.duckdb'}",
    "postgres": lambda _: postgres_server().fresh_database(),
    "timescale": lambda _: timescale_server().fresh_database(),
}


@pytest.fixture(scope="session", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """The address of a new store in a folder."""
    return ENGINES[request.param]


@pytest.fixture
def url(engine: Callable[[Path], str], tmp_path: Path) -> str:
    """The address of a new store."""
    return engine(tmp_path)


@pytest.fixture
def store(url: str) -> Store:
    """A new store."""
    return open_store(url, lock_timeout_s=300)


@pytest.fixture(scope="module")
def lasting_store(engine: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples of a property, opened once; each example empties the tables that it writes."""
    store = open_store(engine(tmp_path_factory.mktemp("store")), lock_timeout_s=300)
    with store.kept_open():
        yield store
