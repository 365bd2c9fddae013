"""One PostgreSQL store and one DuckDB store for a module's examples."""

from __future__ import annotations

import pytest

from tests.servers import postgres_server
from trading_assets.store import Store, open_store


@pytest.fixture(scope="module")
def duckdb_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """An embedded store that the tests of a module share."""
    return open_store(f"duckdb:///{tmp_path_factory.mktemp('sql') / 'market.duckdb'}")


@pytest.fixture(scope="module")
def postgres_store() -> Store:
    """A store on a real PostgreSQL that the tests of a module share."""
    return open_store(postgres_server().fresh_database())
