"""The layout of a store: made, brought up to date, and known by a number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import polars as pl

from trading_assets.candles import TS
from trading_assets.errors import StoreError
from trading_assets.store.contract import Store
from trading_assets.store.tables import TABLES, Table

LAYOUT: Final = 1
"""The layout that this software writes. New tables and columns do not count: every write adds what it needs. A change
that older software would misread gets the next number, and a step in :func:`migrate`."""

LAYOUTS: Final = Table(
    "store_layouts",
    "One layout that the store has had.",
    {"layout": pl.Int32, "since": TS},
    ("layout",),
    time="since",
)


def layout_of(store: Store) -> int:
    """The number of a store's layout; 0 where it was never migrated.

    Raises
    ------
    StoreError
        If newer software made it.
    """
    known = store.read(LAYOUTS)["layout"].max()
    layout = known if isinstance(known, int) else 0
    if layout > LAYOUT:
        raise StoreError(
            f"the store has layout {layout}, this software knows {LAYOUT}",
            where=LAYOUTS.name,
            remedy="update the software that migrates, copies or restores",
        )
    return layout


def migrate(store: Store) -> list[str]:
    """Create what is missing of the tables, bring the layout up to date; returns what was done, a line each.

    On a server with TimescaleDB the long tables become hypertables. Doing it again does nothing.

    Raises
    ------
    StoreError
        If newer software made the store, or a stored column has another type than its declaration.
    """
    before = layout_of(store)
    done = store.prepare([*TABLES.values(), LAYOUTS])
    if before < LAYOUT:
        now = pl.Series([datetime.now(UTC)], dtype=TS)
        store.upsert(LAYOUTS, pl.DataFrame({"layout": [LAYOUT], "since": now}, schema=LAYOUTS.columns))
        done.append(f"layout {before} -> {LAYOUT}")
    return done
