"""What has been recorded of a market so far: in the store, and still on its way there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.recordings.spool import KINDS, OPEN, SEALED, folders, read_segment
from trading_assets.store.contract import Store

type Wanted = tuple[str, str]
"""Name of a table of :data:`KINDS`, and a market."""

_LATE: Final = timedelta(minutes=5)
"""How much later than its ``ts`` a recorded row may have become known, at most, to be looked for."""


def recorded_rows(store: Store, root: Path, wanted: Mapping[Wanted, datetime]) -> dict[Wanted, pl.DataFrame]:
    """Rows that became known after a moment, sorted by ``known_at``; of one key, the one that was received first.

    Parameters
    ----------
    store
        Where segments are loaded to.
    root
        The spool's folder. It is read before the store: what is moved meanwhile is in one of them, or in both.
    wanted
        Table's name and market -> the moment.
    """
    waiting: dict[str, list[pl.DataFrame]] = {}
    for folder in folders(root):
        for path in sorted([*folder.glob(f"*{SEALED}"), *folder.glob(f"*{OPEN}")]):
            with suppress(FileNotFoundError):  # loaded, or sealed under another name: the store or the next look has it
                for name, frame in read_segment(path).frames.items():
                    waiting.setdefault(name, []).append(frame)
    found: dict[Wanted, pl.DataFrame] = {}
    tables = {table.name: table for table in KINDS}
    for (name, market), after in wanted.items():
        table = tables[name]
        stored = store.read(table, where={"market": market}, start=after - _LATE)
        mine = [frame.filter(pl.col("market") == market) for frame in waiting.get(name, [])]
        rows = pl.concat([stored, *mine]).filter(pl.col("known_at") > after).sort("known_at", maintain_order=True)
        found[name, market] = rows.unique(table.key, keep="first", maintain_order=True)
    return found
