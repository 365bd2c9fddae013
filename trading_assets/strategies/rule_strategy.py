"""A rule as a strategy: the rule says when, its record how likely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.models.record import WANTED, Record
from trading_assets.strategies.base import ANSWERS, Rule


@dataclass(frozen=True, slots=True)
class RuleStrategy:
    """Answers with the share of a rule's past signals that reached their target, where the rule wants a trade.

    So a rule is entered on by the same expected net return as a model.

    Attributes
    ----------
    rule
        Says when.
    records
        Side -> what became of its signals; a side without one is not traded.
    """

    rule: Rule[Any]
    records: Mapping[Side, Record]

    @property
    def lookback_bars(self) -> int:
        """The rule's."""
        return self.rule.lookback_bars

    def wanted(self, bars: pl.DataFrame) -> pl.Series:
        """The side of the trade that the rule wants on each bar, 1 or -1; 0 for none.

        It is shown what it declares, and no more.

        Raises
        ------
        ModelError
            If it answers otherwise than a rule does.
        """
        said = self.rule.sides(bars.select("market", "ts", *self.rule.inputs))
        if said.len() != bars.height or not said.is_in([-1, 0, 1]).all():
            raise ModelError(
                f"it answers {bars.height:,} bars with {said.len():,} values, or other values than -1, 0 and 1",
                where=f"rule {self.rule.kind()}",
                remedy="trading prove-rules shows what it does",
            )
        return said.cast(pl.Float64).alias(WANTED)

    def answers_to(self, wanted: pl.Series) -> pl.DataFrame:
        """What the records say of what the rule wants.

        Returns
        -------
        pl.DataFrame
            ``long`` and ``short`` (Float64), a row per bar: the probability that a trade of that side which is entered
            when the bar closes reaches its take-profit first; null where the rule wants no such trade.
        """
        rows, nothing = wanted.to_frame(), pl.repeat(None, wanted.len(), dtype=pl.Float64, eager=True)
        return pl.DataFrame(
            {
                word: self.records[side].predict(rows) if side in self.records else nothing
                for word, side in ANSWERS.items()
            }
        )
