"""The seat of a strategy: what decides, whether a trained model or a rule.

A strategy is pure: from the bars of one market up to one bar it says how probable it is that a long or a short trade
entered then reaches its target first. It has no clock, no I/O and no state, and its answer on a bar depends on the
newest ``lookback_bars`` bars alone, so that a whole history at once, a day alone and the node's tail give the same
answers; tests hold every strategy to that. Everything else is the same for all of them and is no part of it: when it is
asked, the rule of entry, limits, orders, journal and recovery (:mod:`trading_assets.strategies.host`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl

from trading_assets.core.sides import Side

ANSWERS = {side.word: side for side in Side}
"""Column of a strategy's answers -> the side that it speaks of."""


class Declared(Protocol):
    """What everything that decides says of itself."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that it reads: of a bar (``open``, ``high``, ``low``, ``close``, ``volume``), or of features."""
        ...

    @property
    def lookback_bars(self) -> int:
        """How many bars an answer depends on, the newest one included."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Name -> value. Each set of them that is tried counts as a trial."""
        ...


class Strategy(Declared, Protocol):
    """What decides."""

    def answers(self, bars: pl.DataFrame) -> pl.DataFrame:
        """What it says on each bar.

        Parameters
        ----------
        bars
            Of one market, ascending, without gaps: ``market``, ``ts``, and ``inputs``.

        Returns
        -------
        pl.DataFrame
            ``long`` and ``short`` (Float64), a row per bar: the probability that a trade of that side which is entered
            when the bar closes reaches its take-profit first; null where it wants no such trade, and on the first
            ``lookback_bars - 1`` bars.
        """
        ...


class Rule(Declared, Protocol):
    """Says when, and nothing of how likely: see :class:`trading_assets.strategies.rule_strategy.RuleStrategy`."""

    @property
    def source(self) -> str:
        """Where it comes from."""
        ...

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """On each bar, which trade is wanted: 1 long, -1 short, 0 none (Int8); 0 on the bars that look back too far."""
        ...
