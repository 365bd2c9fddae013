"""The layout of a store: made, brought up to date, and known by a number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import StoreError
from trading_assets.store.contract import Store
from trading_assets.store.tables import BACKTEST_METRICS, EQUITY, MODEL_VERSIONS, TABLES, TRADES, TRIAL_RETURNS, Table

LAYOUT: Final = 3
"""The layout that this software writes. New tables and columns do not count: every write adds what it needs. A change
that older software would misread gets the next number, and a step in :func:`migrate`.

1: the first that was numbered. 2: backtests are kept by the version of their model. 3: features, labels, predictions
and signals say their timeframe, labels their set, predictions, folds and importance their side; what was there is of
15-minute bars, long, and of the label set that settings without names have: ``Table.joined`` declares it."""

LAYOUTS: Final = Table(
    "store_layouts",
    "One layout that the store has had.",
    {"layout": pl.Int32, "since": TS},
    ("layout",),
    time="since",
)

_OF_VERSIONS: Final = (TRADES, EQUITY, BACKTEST_METRICS)
_KNOW_VERSIONS: Final = (TRIAL_RETURNS, MODEL_VERSIONS)


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
    done = store.prepare([*TABLES.values(), LAYOUTS]) + backtests_get_their_version(store)
    if before < LAYOUT:
        now = pl.Series([datetime.now(UTC)], dtype=TS)
        store.upsert(LAYOUTS, pl.DataFrame({"layout": [LAYOUT], "since": now}, schema=LAYOUTS.columns))
        done.append(f"layout {before} -> {LAYOUT}")
    return done


def up_to_date(store: Store) -> Store:
    """The store, migrated if an older version of the software made it."""
    if layout_of(store) < LAYOUT:
        migrate(store)
    return store


def backtests_get_their_version(store: Store) -> list[str]:
    """Rows of backtests from before versions were kept (0): they are of the newest version that was traded then.

    ``trial_returns`` knows it, or else ``model_versions``. Where neither does, the rows stay as they are.
    """
    old = {model for table in _OF_VERSIONS for model in store.read(table, where={"version": 0})["model"]}
    done = []
    for model in sorted(old):
        parts = [(table, store.read(table, where={"model": model})) for table in _OF_VERSIONS]
        kept = {version for _, frame in parts for version in frame["version"]}
        known = (store.read(table, where={"model": model}, columns=["version"])["version"] for table in _KNOW_VERSIONS)
        version = next((max(new) for versions in known if (new := set(versions) - kept)), None)
        if version is None:
            continue
        named = pl.col("version").replace(0, version)
        store.replace_together([(table, frame.with_columns(named)) for table, frame in parts], where={"model": model})
        done.append(f"backtest of {model}: version {version}")
    return done
