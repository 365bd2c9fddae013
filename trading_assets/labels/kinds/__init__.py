"""The kinds of label, one file each; :mod:`trading_assets.labels.kinds.contract` says what one is."""

from trading_assets.labels.kinds import forward_return, meta, trend_scanning, triple_barrier
from trading_assets.labels.kinds.contract import Known, Label, paid
from trading_assets.labels.kinds.registry import label_of, register, registered

__all__ = [
    "Known",
    "Label",
    "forward_return",
    "label_of",
    "meta",
    "paid",
    "register",
    "registered",
    "trend_scanning",
    "triple_barrier",
]
