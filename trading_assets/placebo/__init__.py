"""The placebo gate: worlds whose truth is known, put through the same research as a market.

In a world with nothing to find nothing may be approved; in a world with a planted edge it should be found.
"""

from trading_assets.placebo.carrying import carried_over, history_days
from trading_assets.placebo.judging import Verdict, judge
from trading_assets.placebo.outcome import Outcome, outcomes
from trading_assets.placebo.running import Plan, run_worlds
from trading_assets.placebo.worlds import KINDS, World, worlds
from trading_assets.strategies import rules  # noqa: F401  (registered: a label set may name one)

__all__ = [
    "KINDS",
    "Outcome",
    "Plan",
    "Verdict",
    "World",
    "carried_over",
    "history_days",
    "judge",
    "outcomes",
    "run_worlds",
    "worlds",
]
