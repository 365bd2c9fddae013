"""The meta-label: whether the trade that a primary rule wants reaches its target first.

Source: M. López de Prado, *Advances in Financial Machine Learning* (2018), section 3.6. The rule says the side, a model
that learns this whether to take it.
"""

from __future__ import annotations

from functools import cached_property

import polars as pl

from trading_assets.labels.kinds.registry import register
from trading_assets.labels.kinds.triple_barrier import FirstTouch
from trading_assets.labels.primary_rule import PrimaryRule, primary_rule
from trading_assets.settings import MetaLabelSettings


@register
class MetaLabel(FirstTouch[MetaLabelSettings]):
    """The first touch after the bars on which the rule wants a trade, on its side."""

    section = MetaLabelSettings

    @cached_property
    def rule(self) -> PrimaryRule:
        """What wants the trades."""
        return primary_rule(self.settings.rule)

    @property
    def lookback_bars(self) -> int:
        """The longer one of the rule's and the barriers'."""
        return max(super().lookback_bars, self.rule.lookback_bars)

    def decides(self, bars: pl.DataFrame) -> pl.Series:
        """What the rule says."""
        return self.rule.sides(bars)

    def version(self) -> str:
        """Its own code, and the rule's."""
        return f"{super().version()}-{self.rule.version()}"
