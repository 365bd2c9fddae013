"""How the orders of a plan are matched: what a stop that moves and a target for a part must take into account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Matching:
    """Where orders are matched.

    Attributes
    ----------
    simulated
        By the engine itself, in a backtest or in the sandbox. It makes every reduce-only order that rests as large as
        the position whenever that changes, so a target for a part goes without the flag there.
    modifies
        Whether a resting stop can be changed; else a new one is sent, and the old one is canceled once that rests.
    candle
        Length of the candles that a backtest matches on: a stop moves when the one has ended that moved it. None where
        it moves at once.
    latency
        Between sending and arriving, in a backtest, which looks at what has arrived only when something happens.
    filled_by
        Who fills: ``paper`` (our own matching), ``shadow`` (nobody: fills are hypothetical) or ``live`` (the venue).
    reduces
        Whether orders that close a position are marked so that they can never open one: not on spot.
    rests
        How many orders that close a position may rest for the same base units: a spot balance is bound by one, so that
        targets are minded by the node there, and whatever else is sent waits until the stop is canceled.
    takes_passed_stops
        Whether a stop that the price has passed already is taken all the same, and waits for the price to come back:
        others refuse it, or fill it at once.
    """

    simulated: bool = False
    modifies: bool = True
    candle: timedelta | None = None
    latency: timedelta = timedelta(0)
    filled_by: Literal["paper", "shadow", "live"] = "paper"
    reduces: bool = True
    rests: Literal["one", "all"] = "all"
    takes_passed_stops: bool = False

    @property
    def binds(self) -> bool:
        """Whether an order that rests binds what another one would need."""
        return self.rests == "one"


SANDBOX: Final = Matching(simulated=True)
SHADOW: Final = Matching(simulated=True, filled_by="shadow")
AT_VENUE: Final = Matching(modifies=False, filled_by="live")
AT_VENUE_SPOT: Final = Matching(modifies=False, filled_by="live", reduces=False, rests="one")
