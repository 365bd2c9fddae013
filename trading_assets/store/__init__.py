"""Storage: one contract, and the tables it keeps."""

from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import TABLES, Table

__all__ = ["TABLES", "Store", "Table", "configured_store", "open_store"]


def open_store(url: str, *, lock_timeout_s: float = 60.0) -> Store:
    """Open the store at ``url``; tables are created when first written or read.

    Raises
    ------
    StoreError
        If the URL names no known engine.
    """
    if url.partition("://")[0] in {"postgresql", "postgres"}:
        from trading_assets.store.postgres.store import PostgresStore

        return PostgresStore.from_url(url, lock_timeout_s=lock_timeout_s)
    from trading_assets.store.duckdb.store import DuckDBStore

    return DuckDBStore.from_url(url, lock_timeout_s=lock_timeout_s)


def configured_store(settings: Settings) -> Store:
    """Open the store that the settings name; raises as :func:`open_store`."""
    return open_store(settings.store_url, lock_timeout_s=settings.store.lock_timeout_s)
