"""A trained model as a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from trading_assets.models import Bundle
from trading_assets.settings import ModelSettings
from trading_assets.strategies.base import ANSWERS


@dataclass(frozen=True, slots=True)
class ModelStrategy:
    """Answers with a bundle's probabilities of the sides that it trades.

    Attributes
    ----------
    bundle
        The model; its inputs are features, and its bars the rows of the ``features`` table.
    """

    bundle: Bundle

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features of its training."""
        return self.bundle.features

    @property
    def lookback_bars(self) -> int:
        """How many feature rows one answer reads; what the features themselves look back on is theirs to say."""
        return self.bundle.lookback_rows

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What it was trained with."""
        spec = self.bundle.spec
        return spec.estimator.model_dump() if isinstance(spec, ModelSettings) else {}

    def answers(self, bars: pl.DataFrame) -> pl.DataFrame:
        """See :meth:`trading_assets.strategies.base.Strategy.answers`."""
        first = self.lookback_bars - 1
        known = bars[first:]
        empty = pl.Series([None] * min(first, bars.height), dtype=pl.Float64)
        columns = {}
        for word, side in ANSWERS.items():
            if side in self.bundle.sides:
                said = self.bundle.predict(known, side, history=bars).cast(pl.Float64)
            else:
                said = pl.Series([None] * known.height, dtype=pl.Float64)
            columns[word] = pl.concat([empty, said.rename("")])
        return pl.DataFrame(columns)
