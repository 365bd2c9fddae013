"""The life of a model's versions: what takes the champion's place, what stays a challenger, what is gone back to."""

from trading_assets.lifecycle.by_rule import promote_by_rule
from trading_assets.lifecycle.comparison import Comparison, compare_with_champion
from trading_assets.lifecycle.promotion import Outcome, archive, promote, reject, roll_back
from trading_assets.lifecycle.side_by_side import SideBySide, named_version, side_by_side

__all__ = [
    "Comparison",
    "Outcome",
    "SideBySide",
    "archive",
    "compare_with_champion",
    "named_version",
    "promote",
    "promote_by_rule",
    "reject",
    "roll_back",
    "side_by_side",
]
