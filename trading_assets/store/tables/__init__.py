"""Every table of the store: columns, key, and what one row means; ``docs/reference/tables.md`` comes from here."""

from typing import Final

from trading_assets.store.tables.live import FILLS, ORDERS, PERFORMANCE_SUMMARY, POSITIONS, SIGNALS
from trading_assets.store.tables.market_data import (
    BARS,
    BOOK_SNAPSHOTS,
    CANDLE_GAPS,
    CANDLE_REVISIONS,
    CANDLES,
    CANDLES_QUARANTINE,
    FEED_QUARANTINE,
    FUNDING_RATES,
    PUBLIC_TRADES,
    RECORDING_GAPS,
    SENTIMENT,
)
from trading_assets.store.tables.quality import DAILY_QUALITY, EXCHANGE_COMPARISON, GAPS
from trading_assets.store.tables.research import (
    BACKTEST_METRICS,
    EQUITY,
    FEATURE_IMPORTANCE,
    FEATURES,
    FOLDS,
    LABELS,
    MODEL_VERSIONS,
    PREDICTIONS,
    TRADES,
    TRIAL_RETURNS,
)
from trading_assets.store.tables.table import Schema, Table

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        CANDLES,
        CANDLES_QUARANTINE,
        CANDLE_REVISIONS,
        CANDLE_GAPS,
        FUNDING_RATES,
        SENTIMENT,
        FEED_QUARANTINE,
        BOOK_SNAPSHOTS,
        PUBLIC_TRADES,
        RECORDING_GAPS,
        *BARS.values(),
        GAPS,
        DAILY_QUALITY,
        EXCHANGE_COMPARISON,
        FEATURES,
        LABELS,
        PREDICTIONS,
        FOLDS,
        FEATURE_IMPORTANCE,
        TRADES,
        EQUITY,
        BACKTEST_METRICS,
        TRIAL_RETURNS,
        MODEL_VERSIONS,
        SIGNALS,
        ORDERS,
        FILLS,
        POSITIONS,
        PERFORMANCE_SUMMARY,
    )
}

__all__ = [
    "BOOK_SNAPSHOTS",
    "CANDLE_GAPS",
    "CANDLE_REVISIONS",
    "FEED_QUARANTINE",
    "FUNDING_RATES",
    "PUBLIC_TRADES",
    "RECORDING_GAPS",
    "SENTIMENT",
    "BACKTEST_METRICS",
    "BARS",
    "CANDLES",
    "CANDLES_QUARANTINE",
    "DAILY_QUALITY",
    "EQUITY",
    "EXCHANGE_COMPARISON",
    "FEATURES",
    "FEATURE_IMPORTANCE",
    "FILLS",
    "FOLDS",
    "GAPS",
    "LABELS",
    "MODEL_VERSIONS",
    "ORDERS",
    "PERFORMANCE_SUMMARY",
    "POSITIONS",
    "PREDICTIONS",
    "SIGNALS",
    "TABLES",
    "TRADES",
    "TRIAL_RETURNS",
    "Schema",
    "Table",
]
