"""What happened after a bar: the outcomes that models learn, and how much each of them counts."""

from trading_assets.labels.alternatives import forward_return, meta_labels, trend_scanning
from trading_assets.labels.barrier_distances import scale_lookback, widths
from trading_assets.labels.barriers import label_window, missing_entries, triple_barrier
from trading_assets.labels.fingerprint import fingerprint
from trading_assets.labels.label_sets import label
from trading_assets.labels.weights import average_uniqueness, return_attribution, sample_weights, time_decay

__all__ = [
    "average_uniqueness",
    "fingerprint",
    "forward_return",
    "label",
    "label_window",
    "meta_labels",
    "missing_entries",
    "return_attribution",
    "sample_weights",
    "scale_lookback",
    "time_decay",
    "trend_scanning",
    "triple_barrier",
    "widths",
]
