"""How trades end: at the first barrier that a candle touches, or with the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from trading_assets.labels.first_touch import first_touch
from trading_assets.labels.passes import in_passes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Signs = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Path:
    """The candles that trades live on: open times, their length (microseconds) and prices."""

    times: Ints
    step: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats


@dataclass(frozen=True, slots=True)
class Trades:
    """Entries, one value each: their candle, the candle after their horizon, its end, and the barriers' distances."""

    entry: Ints
    stop: Ints
    horizon_end: Ints
    long: Bools
    take_profit: Floats
    stop_loss: Floats

    def part(self, rows: slice) -> Trades:
        """Some of them."""
        return Trades(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Exits:
    """What became of each trade.

    Attributes
    ----------
    label_end
        When the exit was known; microseconds.
    entry_price, gross
        The price entered at, and the return of the side as a fraction, before costs.
    barrier
        1 take-profit, -1 stop-loss, 0 the horizon.
    ambiguous
        One candle touched both barriers and did not open beyond either.
    """

    label_end: Ints
    entry_price: Floats
    gross: Floats
    barrier: Signs
    ambiguous: Bools

    @classmethod
    def of(cls, trades: Trades, path: Path, *, best_case: bool) -> Self:
        """Follow trades along the candles; ``best_case`` decides the ambiguous ones."""
        rows = len(trades.entry)
        made = cls(
            np.empty(rows, np.int64), np.empty(rows), np.empty(rows), np.empty(rows, np.int8), np.empty(rows, np.bool_)
        )
        in_passes(lambda part: made._fill(part, trades.part(part), path, best_case=best_case), rows)
        return made

    def _fill(self, rows: slice, trades: Trades, path: Path, *, best_case: bool) -> None:
        long, price = trades.long, path.open[trades.entry]
        above = price * (1 + np.where(long, trades.take_profit, trades.stop_loss))
        below = price * (1 - np.where(long, trades.stop_loss, trades.take_profit))
        touch = first_touch(path.high, path.low, trades.entry, trades.stop, above=above, below=below)
        touched = touch < trades.stop
        at = np.where(touched, touch, trades.stop - 1)
        opened = path.open[at]
        up, down = touched & (path.high[at] >= above), touched & (path.low[at] <= below)
        gap_up, gap_down = up & (opened >= above), down & (opened <= below)
        ambiguous = up & down & ~gap_up & ~gap_down
        at_target, at_stop = np.where(long, up, down), np.where(long, down, up)
        won = np.where(long, gap_up, gap_down) | (at_target & ~at_stop) | (ambiguous & best_case)
        level = np.where(won == long, above, below)
        exit_price = np.where(gap_up | gap_down, opened, np.where(touched, level, path.close[at]))
        self.label_end[rows] = np.where(touched, path.times[at] + path.step, trades.horizon_end)
        self.entry_price[rows] = price
        self.gross[rows] = np.where(long, 1, -1) * (exit_price / price - 1)
        self.barrier[rows] = np.where(touched, np.where(won, 1, -1), 0)
        self.ambiguous[rows] = ambiguous
