"""How far screening and the event-driven backtest agree, trade by trade, and why where they do not.

The backtest knows what screening leaves out: fills slip by a tick or do not, stops and targets stand on ticks, a stop
goes in a latency after its entry. So prices differ by ticks, and where a candle's extreme lies within ticks of a
barrier, one touches it and the other does not; from then on the two may be busy at different times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.sides import Side

SAME: Final = "equal to a basis point"
TICKS: Final = "fills and barriers on ticks"
TOUCH: Final = "a barrier within ticks of a candle's extreme"
BUSY: Final = "the other one had a trade open"
SIZE: Final = "refused by a limit"
LAST: Final = "entered as the data ends"
UNEXPLAINED: Final = "unexplained"

_BPS: Final = 1e-4
_ENTRY_TICKS: Final = 1.01
_EXIT_TICKS: Final = 2.01
"""A barrier is rounded by up to a tick, and its fill slips by up to one."""

_KEY: Final = ["market", "known_at"]


@dataclass(frozen=True)
class Agreement:
    """What a comparison found.

    Attributes
    ----------
    causes
        Cause -> how many trades.
    trades
        Each trade of either: ``market``, ``known_at``, ``bps`` (backtest less screening, in basis points of the
        notional; null where only one has it), ``left_bps`` (what ticks do not explain) and ``cause``.
    """

    causes: Mapping[str, int]
    trades: pl.DataFrame

    @property
    def unexplained(self) -> pl.DataFrame:
        """The trades without a cause."""
        return self.trades.filter(pl.col("cause") == UNEXPLAINED)


def compare(
    backtest: pl.DataFrame,
    screened: pl.DataFrame,
    candles: Mapping[str, pl.DataFrame],
    *,
    ticks: Mapping[str, float],
    slip_probability: float,
    refused: int = 0,
) -> Agreement:
    """Compare the trades of one set.

    Parameters
    ----------
    backtest, screened
        Trades of :func:`trading_assets.backtest.simulation.engine.run_backtest` and of
        :meth:`trading_assets.screening.frames.Screening.trades`.
    candles
        Market -> those on which both were resolved.
    ticks
        Market -> its price step.
    slip_probability
        Of a fill to slip by a tick: screening charges so much of one with each.
    refused
        Entries that limits of the backtest refused: so many trades may be missing there.
    """
    length = (screened["known_at"] - screened["signal_ts"]).max()
    theirs = backtest.with_columns(known_at=pl.col("signal_ts") + length)
    both = theirs.join(screened, on=_KEY, how="full", coalesce=True, suffix="_screened").sort(_KEY)
    rows, causes, left = both.to_dicts(), [], []
    for row in rows:
        cause, rest = _cause(row, candles, ticks[row["market"]], slip_probability, theirs, screened)
        if cause == UNEXPLAINED and row["return"] is None and refused:
            cause, refused = SIZE, refused - 1
        causes.append(cause)
        left.append(rest)
    trades = both.select(*_KEY, bps=(pl.col("return") - pl.col("return_screened")) / _BPS).with_columns(
        left_bps=pl.Series(left, dtype=pl.Float64), cause=pl.Series(causes, dtype=pl.String)
    )
    return Agreement(dict(Counter(causes)), trades)


def _cause(
    row: Mapping[str, object],
    candles: Mapping[str, pl.DataFrame],
    tick: float,
    slip: float,
    theirs: pl.DataFrame,
    ours: pl.DataFrame,
) -> tuple[str, float | None]:
    """Why a trade differs, and what of its return ticks do not explain, in basis points."""
    if row["return"] is None or row["return_screened"] is None:
        other = theirs if row["return"] is None else ours
        busy = other.filter(
            pl.col("market") == row["market"],
            pl.col("entry_ts") <= row["known_at"],  # type: ignore[operator]
            pl.col("exit_ts") >= row["known_at"],  # type: ignore[operator]
        )
        if row["exit_reason"] == "end" and row["return_screened"] is None:  # no candle opens any more
            return LAST, None
        return (UNEXPLAINED if busy.is_empty() else BUSY), None
    entry, screened = _number(row["entry_price"]), _number(row["entry_price_screened"])
    left, screened_left = _number(row["exit_price"]), _number(row["exit_price_screened"])
    if row["exit_reason"] != row["exit_reason_screened"] or _apart(row):
        near = _near_barrier(row, candles[str(row["market"])], tick)
        return (TOUCH if near else UNEXPLAINED), None
    difference = abs(_number(row["return"]) - _number(row["return_screened"]))
    if difference <= _BPS:
        return SAME, difference / _BPS
    moves = 1.0 if row["exit_reason"] in ("time", "opposite", "end") else entry / screened
    rest = max(abs(entry - screened) - _ENTRY_TICKS * tick, 0.0)
    rest += max(abs(left - screened_left * moves) - _EXIT_TICKS * tick, 0.0)
    explained = (_ENTRY_TICKS + _EXIT_TICKS + 2 * slip) * tick / screened
    rest = max(rest / screened, difference - explained - _BPS)
    return (TICKS if rest <= _BPS else UNEXPLAINED), rest / _BPS


def _apart(row: Mapping[str, object]) -> bool:
    """Whether the same end came in another candle."""
    apart = row["exit_ts"] - row["exit_ts_screened"]  # type: ignore[operator]
    return bool(abs(apart.total_seconds()) > 60 and row["exit_reason"] in ("take_profit", "stop_loss"))


def _near_barrier(row: Mapping[str, object], candles: pl.DataFrame, tick: float) -> bool:
    """Whether the one that ended first did so on a barrier that its candle hardly reached, or that it nearly missed."""
    first = "" if row["exit_ts"] < row["exit_ts_screened"] else "_screened"  # type: ignore[operator]
    reason, price = row[f"exit_reason{first}"], _number(row[f"exit_price{first}"])
    if reason not in ("take_profit", "stop_loss"):
        return False
    side = Side.LONG if row["side"] == Side.LONG.word else Side.SHORT
    upwards = (reason == "take_profit") == (side is Side.LONG)
    met = candles.filter(pl.col("ts") <= row[f"exit_ts{first}"]).tail(2)  # type: ignore[operator]
    extreme = met["high"].to_numpy() if upwards else met["low"].to_numpy()
    return bool((np.abs(extreme - price) <= (_ENTRY_TICKS + _EXIT_TICKS + 1) * tick).any())


def _number(value: object) -> float:
    return float(value)  # type: ignore[arg-type]
