"""From a fill back to the candles: a decision is rebuilt, and held against what the node journalled of it."""

from trading_assets.lineage.contributions import Contribution
from trading_assets.lineage.explanation import Explanation, explain
from trading_assets.lineage.rebuilding import Rebuilt, rebuild
from trading_assets.lineage.trail import JournalEvents, StoredEvents, Trail, find

__all__ = [
    "Contribution",
    "Explanation",
    "JournalEvents",
    "Rebuilt",
    "StoredEvents",
    "Trail",
    "explain",
    "find",
    "rebuild",
]
