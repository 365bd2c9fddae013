"""The arrays that screening walks along, and the accounts that it keeps."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]
type Signs = npt.NDArray[np.int8]

DAY: Final = 86_400_000_000
LONG, SHORT = 0, 1
"""The place of a side in arrays of both."""

TARGET, STOP, TIME, OPPOSITE, END = 1, -1, 0, 2, 3
"""How a trade ended; what is open when the data ends is closed at the last price."""

ENTERED, WON, MISSED, REFUSED, CAPPED = range(5)
"""Columns of the counts of a set: trades, those with a profit, signals without a candle to enter on, refused by limits,
made smaller."""

GAINED, LOST, FEES, FUNDING, HELD = range(5)
"""Columns of the sums of a set: gross profit and loss, fees and funding in quote currency, microseconds in a trade."""


class World(NamedTuple):
    """Markets on one grid of decisions.

    Attributes
    ----------
    known
        When the bars of the grid are closed (G), ascending, microseconds.
    close, volume
        Of the newest bar (markets x G); volume 0 where the market has no bar.
    next_open, next_at
        Price and time of the first candle at or after ``known``; NaN and the data's end where there is none.
    midnights
        The last price of each day (markets x days).
    first_day
        The day of column 0, counted from 1970.
    paid_at, paid, assumed
        Times of funding (markets x payments), the running sum of rate times price, which begins with 0, and that of
        payments that are assumed, which either side pays.
    lot
        Steps of quantity.
    """

    known: Ints
    close: Floats
    volume: Floats
    next_open: Floats
    next_at: Ints
    midnights: Floats
    first_day: int
    paid_at: Ints
    paid: Floats
    assumed: Floats
    lot: Floats


class Outcomes(NamedTuple):
    """What becomes of a trade entered after each bar of the grid: markets x sides x G.

    Attributes
    ----------
    entry
        Price; NaN where nothing can be entered.
    entered_at, left_at
        When, in microseconds; a barrier is left a microsecond before its candle ends.
    left
        Price of what the last exit closes.
    reason
        ``TARGET`` and so on.
    free
        The first bar of the grid on which another trade may be entered.
    parts, part_at, part_price
        How many targets closed a part before the last exit, when and at what price.
    shares
        Of the quantity, of each target (markets x targets).
    stake
        Share of equity that the position is to be.
    """

    entry: Floats
    entered_at: Ints
    left_at: Ints
    left: Floats
    reason: npt.NDArray[np.int8]
    free: npt.NDArray[np.int32]
    parts: Signs
    part_at: Ints
    part_price: Floats
    shares: Floats
    stake: Floats


class Costs(NamedTuple):
    """What orders cost and what limits them.

    Attributes
    ----------
    taker, maker
        Fractions of the notional (markets): an order at the market, slippage included; a target that rests.
    dearest
        The highest of the former: what cash must be there for.
    slips
        What a fill slips on average, in price (markets).
    max_volume
        Share of a bar's volume; 0 for no cap.
    max_notional, least_notional, max_total, max_daily_loss
        Of a position, of all, and of a day; in quote currency.
    max_market_leverage, max_leverage
        Notional of a position and of all, as a multiple of equity.
    lent
        Whether notional may exceed the free cash (markets): of perpetuals.
    opposite
        Whether a wanted trade of the other side closes the open one.
    balance
        At the start.
    """

    taker: Floats
    maker: Floats
    dearest: float
    slips: Floats
    max_volume: float
    max_notional: float
    least_notional: float
    max_market_leverage: float
    max_leverage: float
    max_total: float
    max_daily_loss: float
    lent: npt.NDArray[np.bool_]
    opposite: bool
    balance: float


class State(NamedTuple):
    """The accounts of many sets, a row each; what the walk goes on with.

    Attributes
    ----------
    balance
        Realised.
    bar, side, quantity
        The open trade of each market; ``bar`` is -1 where there is none.
    loss_day, day_result
        The newest day with an exit, and what was realised on it.
    change
        Of the account's worth on each day.
    counts, sums
        See ``ENTERED`` and ``GAINED``.
    """

    balance: Floats
    bar: Ints
    side: npt.NDArray[np.int8]
    quantity: Floats
    loss_day: Ints
    day_result: Floats
    change: Floats
    counts: Ints
    sums: Floats


class Log(NamedTuple):
    """The trades of a walk, where they are wanted one by one; no rows where not.

    Attributes
    ----------
    numbers
        Set, market, bar, side, time of the exit, reason.
    amounts
        Quantity, entry price, mean exit price, fees, funding, result.
    written
        How many there are, in its only place.
    """

    numbers: Ints
    amounts: Floats
    written: Ints


def accounts(sets: int, markets: int, days: int, balance: float) -> State:
    """The accounts of sets that have not begun."""
    return State(
        balance=np.full(sets, balance),
        bar=np.full((sets, markets), -1, np.int64),
        side=np.zeros((sets, markets), np.int8),
        quantity=np.zeros((sets, markets)),
        loss_day=np.full(sets, -1, np.int64),
        day_result=np.zeros(sets),
        change=np.zeros((sets, days)),
        counts=np.zeros((sets, 5), np.int64),
        sums=np.zeros((sets, 5)),
    )


def rows_of(state: State, rows: slice) -> State:
    """The accounts of some sets: views of the same numbers."""
    parts: Any = (one[rows] for one in state)
    return State(*parts)


def no_log(rows: int = 0) -> Log:
    """A log that takes so many trades."""
    made: Any = np.zeros((rows, 6), np.int64)
    return Log(made, np.zeros((rows, 6)), np.zeros(1, np.int64))
