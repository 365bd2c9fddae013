"""Quality gates: pure functions that measure candles, features and labels, and say what breaks which limit.

Candle checks may look ahead (neighbours after a bar): they judge stored history, no decision rests on them.
"""

from trading_assets.quality.checks import CANDLE_CHECKS, MARGIN, CandleCheck, Stretch, inspect
from trading_assets.quality.finding import Finding
from trading_assets.quality.funding import funding_gaps
from trading_assets.quality.rows import class_shares, not_finite

__all__ = [
    "CANDLE_CHECKS",
    "MARGIN",
    "CandleCheck",
    "Finding",
    "Stretch",
    "class_shares",
    "funding_gaps",
    "inspect",
    "not_finite",
]
