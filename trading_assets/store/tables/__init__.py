"""Every table of the store: columns, key, and what one row means; ``docs/reference/tables.md`` comes from here."""

from typing import Final

from trading_assets.store.tables.live import FILLS, ORDERS, PERFORMANCE_SUMMARY, POSITIONS, SIGNALS
from trading_assets.store.tables.market_data import BARS, CANDLES, CANDLES_QUARANTINE
from trading_assets.store.tables.research import (
    BACKTEST_METRICS,
    EQUITY,
    FEATURES,
    FOLDS,
    LABELS,
    MODEL_VERSIONS,
    PREDICTIONS,
    TRADES,
)
from trading_assets.store.tables.table import Schema, Table

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        CANDLES,
        CANDLES_QUARANTINE,
        *BARS.values(),
        FEATURES,
        LABELS,
        PREDICTIONS,
        FOLDS,
        TRADES,
        EQUITY,
        BACKTEST_METRICS,
        MODEL_VERSIONS,
        SIGNALS,
        ORDERS,
        FILLS,
        POSITIONS,
        PERFORMANCE_SUMMARY,
    )
}

__all__ = [
    "BACKTEST_METRICS",
    "BARS",
    "CANDLES",
    "CANDLES_QUARANTINE",
    "EQUITY",
    "FEATURES",
    "FILLS",
    "FOLDS",
    "LABELS",
    "MODEL_VERSIONS",
    "ORDERS",
    "PERFORMANCE_SUMMARY",
    "POSITIONS",
    "PREDICTIONS",
    "SIGNALS",
    "TABLES",
    "TRADES",
    "Schema",
    "Table",
]
