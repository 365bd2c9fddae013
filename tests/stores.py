"""Empty stores in no time: creating all tables of a DuckDB file takes longer than most tests."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from trading_assets.store import TABLES, Store, open_store


def fresh_store(folder: Path) -> Store:
    """An embedded store of its own in a folder: all tables, no rows."""
    path = folder / "market.duckdb"
    shutil.copyfile(Path(_made_once().name) / path.name, path)
    return open_store(f"duckdb:///{path}")


@cache
def _made_once() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="empty-store-")
    open_store(f"duckdb:///{folder.name}/market.duckdb").prepare(TABLES.values())
    return folder
