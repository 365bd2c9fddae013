"""Proofs that a rule does not lie: each says what it found wrong, so None is a pass.

They take any rule, the project's or a user's own, and ask it on made-up bars of many tempers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.core.candles import OHLCV, PRICES
from trading_assets.core.proofs import refuted
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.proofs.extremes import made_up_extremes
from trading_assets.strategies.base import Rule

_BARS: Final = 1_200
_CUTS: Final = 60
_DAY: Final = 96
_KEYS: Final = ("market", "ts")


class Case:
    """A rule on bars whose answers are known.

    Parameters
    ----------
    rule
        With the parameters that it is proven with.
    bars
        Of one market; made up where none are given.
    """

    def __init__(self, rule: Rule[Any], bars: pl.DataFrame | None = None) -> None:
        self.rule = rule
        if bars is None:
            bars = made_up_extremes(2 * rule.lookback_bars + _BARS, Timeframe(15))
        self.bars = bars.select("market", "ts", "known_at", *OHLCV)
        self.whole = self.ask(self.bars)

    def ask(self, bars: pl.DataFrame) -> pl.Series:
        """The rule's answers; it is shown the columns that it declares."""
        return self.rule.sides(bars.select(*_KEYS, *self.rule.inputs)).cast(pl.Int64)

    def cuts(self) -> Iterator[int]:
        """Rows on which it is asked again: those on which it speaks, and others between them."""
        first = self.rule.lookback_bars - 1
        spoken = (self.whole != 0).arg_true().to_numpy()
        spoken = spoken[spoken >= first]
        rng = np.random.default_rng(7)
        chosen = rng.choice(spoken, min(_CUTS // 2, len(spoken)), replace=False) if len(spoken) else spoken
        yield from sorted({*chosen.tolist(), *rng.integers(first, self.bars.height, _CUTS // 2).tolist()})

    def at(self, row: int) -> str:
        """A row as a person finds it."""
        return f"{self.bars['ts'][row]:%Y-%m-%d %H:%M}"


def answers(case: Case) -> str | None:
    """One of -1, 0, 1 for each bar, 0 before its look-back is there, the same each time; and it speaks at all."""
    said, first = case.whole, case.rule.lookback_bars - 1
    if said.len() != case.bars.height:
        return f"{said.len():,} answers to {case.bars.height:,} bars"
    if said.null_count() or not said.is_in([-1, 0, 1]).all():
        return f"other answers than -1, 0 and 1: {said.unique().sort().to_list()[:5]}"
    if (said[:first] != 0).any():
        return f"it speaks before {case.rule.lookback_bars:,} bars are there"
    if not case.ask(case.bars).equals(said):
        return "asked twice it answers otherwise"
    if not (said != 0).any():
        return "it never speaks on the made-up bars, so that nothing is proven of it"
    return None


def look_ahead(case: Case) -> str | None:
    """What comes after a bar, or does not come yet, never changes the answer on it."""
    rng = np.random.default_rng(11)
    for row in case.cuts():
        known = case.bars[: row + 1]
        if (said := case.ask(known)[row]) != case.whole[row]:
            return f"at {case.at(row)} it says {said} as the newest bar, {case.whole[row]} with those after it"
        later = case.bars[row + 1 :]
        factor = float(rng.choice([0.5, 0.9, 1.1, 2.0]))
        other = pl.concat([known, later.with_columns(pl.col(*OHLCV) * factor)])
        if (said := case.ask(other)[row]) != case.whole[row]:
            return f"at {case.at(row)} it says {said} where the bars after it are others, instead of {case.whole[row]}"
    return None


def look_back(case: Case) -> str | None:
    """The newest ``lookback_bars`` bars alone give the answer that all of the history gives: so the node asks it."""
    reach = case.rule.lookback_bars
    for row in case.cuts():
        if (said := case.ask(case.bars[row + 1 - reach : row + 1])[-1]) != case.whole[row]:
            return f"at {case.at(row)} it says {said} of its {reach:,} bars alone, {case.whole[row]} with those before"
    return None


def partition(case: Case) -> str | None:
    """A day with its look-back gives the answers that the whole history gives."""
    reach = case.rule.lookback_bars - 1
    for begin in range(reach, case.bars.height, _DAY):
        day = case.ask(case.bars[begin - reach : begin + _DAY])[reach:]
        if not day.equals(case.whole[begin : begin + _DAY]):
            row = begin + int((day != case.whole[begin : begin + _DAY]).arg_max() or 0)
            return f"at {case.at(row)} a day alone answers otherwise than the whole history"
    return None


def mirror(case: Case) -> str | None:
    """Where prices are reflected it wants the other side; a rule that is not alike for both says so itself."""
    if not case.rule.symmetric:
        return None
    prices = case.bars.select(PRICES)
    low, high = float(prices["low"].min()), float(prices["high"].max())  # type: ignore[arg-type]
    by_difference = {name: low + high - pl.col(name) for name in PRICES}
    by_ratio = {name: low * high / pl.col(name) for name in PRICES}
    for reflected in (by_difference, by_ratio):
        turned = case.bars.with_columns(**reflected).rename({"high": "low", "low": "high"})
        if case.ask(turned).equals(-case.whole):
            return None
    row = int((case.ask(turned) != -case.whole).arg_max() or 0)
    return (
        f"at {case.at(row)} it does not want the other side where prices are reflected, by difference or by ratio; "
        "if long and short are meant to be unlike, set `symmetric = False`"
    )


def inputs(case: Case) -> str | None:
    """It declares the columns of a bar that it reads, and reads no others: it is shown no others."""
    strange = [name for name in case.rule.inputs if name not in OHLCV]
    return f"{', '.join(strange)} are no columns of a bar; there are {', '.join(OHLCV)}" if strange else None


PROOFS: Final[Mapping[str, Callable[[Case], str | None]]] = MappingProxyType(
    {one.__name__: one for one in (inputs, answers, look_ahead, look_back, partition, mirror)}
)
"""Name -> proof; what each says of a rule stands in its first line."""


def prove(rule: Rule[Any], bars: pl.DataFrame | None = None) -> dict[str, str]:
    """Put a rule through all proofs: proof -> what it found wrong; empty where the rule is proven.

    Parameters
    ----------
    rule
        With its parameters.
    bars
        To prove it on; made up where none are given.
    """
    try:
        case = Case(rule, bars)
    except Exception as error:  # whatever a rule of a user raises, as where it reads what it does not declare
        return {"inputs": f"it fails on {', '.join(rule.inputs)}: {type(error).__name__}: {error}"}
    return refuted(PROOFS, case, raised="it fails: ")
