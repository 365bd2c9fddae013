"""What happened after a bar: the outcomes that models learn."""

from trading_assets.labels.barriers import label_window, missing_entries, triple_barrier

__all__ = ["label_window", "missing_entries", "triple_barrier"]
