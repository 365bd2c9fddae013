"""What happened after a bar: the outcomes that models learn, and how much each of them counts."""

from trading_assets.labels.barriers import label_window, missing_entries, triple_barrier
from trading_assets.labels.weights import average_uniqueness, return_attribution, sample_weights, time_decay

__all__ = [
    "average_uniqueness",
    "label_window",
    "missing_entries",
    "return_attribution",
    "sample_weights",
    "time_decay",
    "triple_barrier",
]
