"""The engines that the store's tests run against: another one joins with one line.

TimescaleDB is PostgreSQL to the store but for the four long tables, which are hypertables there: what reads or writes
them is tried on it, too. Its build for the tests answers one session at a time, and takes a second for a new store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import postgres_server, timescale_server
from tests.stores import fresh_store
from trading_assets.store import Store, open_store

ENGINES: dict[str, Callable[[Path], str]] = {
    "duckdb": lambda folder: f"duckdb:///{folder / 'market.duckdb'}",
    "postgres": lambda _: postgres_server().fresh_database(),
    "timescale": lambda _: timescale_server().fresh_database(),
}


on_hypertables_too = pytest.mark.parametrize("engine", list(ENGINES), indirect=True)
"""Of a test whose outcome hypertables may change."""


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def engine(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """The address of a new store in a folder."""
    return ENGINES[request.param]


@pytest.fixture
def url(engine: Callable[[Path], str], tmp_path: Path) -> str:
    """The address of a new store."""
    return engine(tmp_path)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Store:
    """A new store; an embedded one has its tables."""
    if url.startswith("duckdb"):
        fresh_store(tmp_path)
    return open_store(url, lock_timeout_s=300)


@pytest.fixture(scope="module")
def lasting_store(engine: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples of a property, opened once; each example empties the tables that it writes."""
    store = open_store(engine(tmp_path_factory.mktemp("store")), lock_timeout_s=300)
    with store.kept_open():
        yield store
