"""What happened after a bar: the outcomes that models learn, and how much each of them counts."""

from trading_assets.labels.barrier_distances import newest_widths, scale_lookback, widths
from trading_assets.labels.barriers import label_window, missing_entries, triple_barrier
from trading_assets.labels.fingerprint import fingerprint
from trading_assets.labels.kinds import Known, Label, label_of, paid, register, registered
from trading_assets.labels.kinds.forward_return import forward_return
from trading_assets.labels.kinds.trend_scanning import trend_scanning
from trading_assets.labels.label_sets import decides, decides_by, label, lookback_bars, without_entry
from trading_assets.labels.plan_units import newest_units, unit_lookback, units
from trading_assets.labels.primary_rule import add_primary_rule
from trading_assets.labels.weights import average_uniqueness, return_attribution, sample_weights, time_decay

__all__ = [
    "Known",
    "Label",
    "add_primary_rule",
    "average_uniqueness",
    "decides",
    "decides_by",
    "fingerprint",
    "forward_return",
    "label",
    "label_of",
    "label_window",
    "lookback_bars",
    "missing_entries",
    "newest_units",
    "newest_widths",
    "paid",
    "register",
    "registered",
    "return_attribution",
    "sample_weights",
    "scale_lookback",
    "time_decay",
    "trend_scanning",
    "triple_barrier",
    "unit_lookback",
    "units",
    "widths",
    "without_entry",
]
