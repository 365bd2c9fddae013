"""The journal's way into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trading_assets.journal.events import SHADOW, TABLES
from trading_assets.journal.file import node_name, reading
from trading_assets.journal.reader import events_after
from trading_assets.journal.shadow import shadow_signals
from trading_assets.store.contract import Store
from trading_assets.store.tables import SHADOW_SIGNALS, Table

_BATCH: Final = 50_000
"""Events in memory at a time."""

_LOADED: Final[dict[str, Table]] = {**TABLES, SHADOW: SHADOW_SIGNALS}
"""Kind -> the table that its events end in."""


def load_journal(store: Store, path: Path, *, batch: int = _BATCH) -> dict[str, int]:
    """Bring what the store does not have yet into the tables of :data:`TABLES`, exactly once.

    What was decided in shadow goes into ``shadow_signals``, a row for each answer.
    Each table is asked for the newest sequence number that it has of this node, and only later events of its kind are
    read: a load killed at any point is finished by the next one, and a second load reads and writes nothing.

    Returns
    -------
    dict
        Table -> rows written.
    """
    counts = dict.fromkeys((table.name for table in _LOADED.values()), 0)
    with reading(path) as connection:
        if connection is None:
            return counts
        node = node_name(connection)
        store.prepare(_LOADED.values())
        for kind, table in _LOADED.items():
            newest = _stored_seq(store, table, node)
            while (events := events_after(connection, kind, newest, batch)).height:
                rows = shadow_signals(events) if kind == SHADOW else events
                counts[table.name] += store.upsert(table, rows)
                newest = events["seq"][-1]
    return counts


def _stored_seq(store: Store, table: Table, node: str) -> int:
    newest = store.query(f"SELECT max(seq) AS seq FROM {table.name} WHERE node = $node", {"node": node})["seq"][0]
    return int(newest) if newest is not None else 0
