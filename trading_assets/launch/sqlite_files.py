"""Dagster's SQLite files, held open for the length of a run.

Dagster opens and closes a file for every event. The last connection that closes a file writes its log back and waits
for the disk; with one more connection there, it is never the last. A year of monthly partitions is a thousand events.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path


@contextmanager
def held_open(storage: Path, run_id: str) -> Iterator[None]:
    """Keep the files of the events and of the runs open; without such files (PostgreSQL) do nothing."""
    events = storage / "history" / "runs"
    with ExitStack() as held:
        if (events / "index.db").exists():
            for path in (events / "index.db", events / f"{run_id}.db", storage / "history" / "runs.db"):
                connection = held.enter_context(closing(sqlite3.connect(path)))
                connection.execute("PRAGMA journal_mode=WAL").fetchall()
                connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # a file counts as open once read
        yield
