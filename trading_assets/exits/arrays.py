"""What the compiled loop of exit plans reads and writes: candles, a plan, and what became of trades, as arrays."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]
type Bytes = npt.NDArray[np.int8]
type Bools = npt.NDArray[np.bool_]

NO_ENTRY: Final = -1
TIME: Final = 0
TARGETS: Final = 1
STOP: Final = 2
BREAK_EVEN: Final = 3
TRAILING: Final = 4
END: Final = 5
"""How the last part of a trade was closed; ``END``: the candles end before the trade does."""


class Path(NamedTuple):
    """The candles of one market, and the decision bars that they make; ``kernel.path`` builds it once for many calls.

    Attributes
    ----------
    times, opens, highs, lows, closes
        Ascending; a candle opens at a multiple of ``step``. All times are microseconds.
    begins
        The first candle of each decision bar that has one; then the number of candles.
    bar_highs, bar_lows
        Of each of these bars.
    step, bar
        Length of a candle and of a decision bar.
    """

    times: Ints
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    begins: Ints
    bar_highs: Floats
    bar_lows: Floats
    step: int
    bar: int


class Plan(NamedTuple):
    """A plan of many trades, its distances in units that each of them has its own of; ``kernel.plan_of`` builds it.

    Attributes
    ----------
    stop
        From the entry price.
    targets, shares
        From near to far.
    break_even_after
        Filled targets; 0: the stop stays.
    trailing, trailing_after
        Distance, 0: the stop does not follow; and filled targets from which on it does.
    """

    stop: float
    targets: Floats
    shares: Floats
    break_even_after: int
    trailing: float
    trailing_after: int


class Outcome(NamedTuple):
    """What became of one trade.

    Attributes
    ----------
    candle
        The last one that the trade was open in.
    closed_at
        When that was known: the end of that candle, or when time was up.
    exit_price
        Of all parts, weighted with their quantities.
    gross
        Return of the side, as a fraction of the entry price, before costs.
    filled
        Targets.
    reason
        How the last part was closed.
    ambiguous
        Whether a candle that reached both, stop and target, decided.
    adverse, favourable
        The largest excursions, as fractions of the entry price, at least 0.
    """

    candle: int
    closed_at: int
    exit_price: float
    gross: float
    filled: int
    reason: int
    ambiguous: bool
    adverse: float
    favourable: float


class Outcomes(NamedTuple):
    """What became of many trades: a column for each part of :class:`Outcome`, and the candle that was entered on.

    Where that is ``NO_ENTRY``, so is ``reason``, and the rest means nothing.
    """

    entered: Ints
    candle: Ints
    closed_at: Ints
    exit_price: Floats
    gross: Floats
    filled: Bytes
    reason: Bytes
    ambiguous: Bools
    adverse: Floats
    favourable: Floats

    @classmethod
    def empty(cls, rows: int) -> Self:
        """Of so many trades, to be filled."""
        at, price, sign = np.empty((3, rows), np.int64), np.empty((4, rows)), np.empty((2, rows), np.int8)
        unclear = np.empty(rows, np.bool_)
        return cls(at[0], at[1], at[2], price[0], price[1], sign[0], sign[1], unclear, price[2], price[3])

    def part(self, first: int, last: int) -> Outcomes:
        """Of the trades ``[first, last)``: views."""
        parts: tuple[Any, ...] = tuple(column[first:last] for column in self)
        return Outcomes(*parts)
