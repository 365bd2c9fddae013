"""A rule as a strategy: the rule says when, its record how likely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.strategies.base import ANSWERS, Rule


@dataclass(frozen=True, slots=True)
class RuleStrategy:
    """Answers with the share of a rule's past signals that reached their target, where the rule wants a trade.

    So a rule is entered on by the same expected net return as a model, and its skill is measured the same way.

    Attributes
    ----------
    rule
        Says when.
    record
        Side -> the probability of its signals; a side without one is not traded.
    """

    rule: Rule[Any]
    record: Mapping[Side, float]

    @classmethod
    def of_past(cls, rule: Rule[Any], bars: pl.DataFrame, labels: pl.DataFrame) -> Self:
        """With the record that a rule has on some bars, by the rule of succession: ``(hits + 1) / (signals + 2)``.

        Parameters
        ----------
        rule
            Without anything fitted.
        bars
            ``ts`` and the rule's inputs, of one market, ascending.
        labels
            ``ts``, ``side`` and ``label`` (1: target first, of that side) of bars whose outcome was known in time: what
            is later than the newest label is not looked at.
        """
        said = bars.select("ts", side=rule.sides(bars)).filter(pl.col("side") != 0)
        known = said.join(labels.select("ts", "side", "label"), on=["ts", "side"])
        counts = known.group_by("side").agg(hits=(pl.col("label") == 1).sum(), signals=pl.len())
        found = {side: (hits + 1) / (signals + 2) for side, hits, signals in counts.iter_rows()}
        return cls(rule, {side: found[side] for side in Side if side in found})

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rule's."""
        return self.rule.inputs

    @property
    def lookback_bars(self) -> int:
        """The rule's."""
        return self.rule.lookback_bars

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The rule's."""
        return self.rule.parameters

    def answers(self, bars: pl.DataFrame) -> pl.DataFrame:
        """See :meth:`trading_assets.strategies.base.Strategy.answers`."""
        wanted = self.rule.sides(bars)
        return pl.select(
            pl.when(wanted == side).then(pl.lit(self.record.get(side), pl.Float64)).alias(word)
            for word, side in ANSWERS.items()
        )
