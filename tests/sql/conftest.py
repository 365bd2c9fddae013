"""One PostgreSQL store and one DuckDB store for a module's examples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import postgres_server
from tests.stores import fresh_store
from trading_assets.store import Store, open_store


@pytest.fixture(scope="module")
def duckdb_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An embedded store that the tests of a module share; its file is opened once."""
    store = fresh_store(tmp_path_factory.mktemp("sql"))
    with store.kept_open():
        yield store


@pytest.fixture(scope="module")
def postgres_store() -> Store:
    """A store on a real PostgreSQL that the tests of a module share."""
    return open_store(postgres_server().fresh_database())
