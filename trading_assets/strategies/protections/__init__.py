"""What holds trading back: RUNNING, REDUCING (nothing is entered), HALTED (what is open is closed).

A state machine over :class:`Facts`, without a clock and without I/O: the same object in the backtest and in the node.
Its state is the fold of its changes, which the journal holds; a restarted node folds them again.
"""

from trading_assets.strategies.protections.changes import Change, change_of, row_of
from trading_assets.strategies.protections.facts import Facts, Reading
from trading_assets.strategies.protections.machine import Verdict, held_after, pause, resume, step, verdict
from trading_assets.strategies.protections.states import NODE, Scope, State, market_scope, model_scope
from trading_assets.strategies.protections.triggers import Trigger, triggers_of
from trading_assets.strategies.protections.watch import Protections

__all__ = [
    "NODE",
    "Change",
    "Facts",
    "Protections",
    "Reading",
    "Scope",
    "State",
    "Trigger",
    "Verdict",
    "change_of",
    "held_after",
    "market_scope",
    "model_scope",
    "pause",
    "resume",
    "row_of",
    "step",
    "triggers_of",
    "verdict",
]
