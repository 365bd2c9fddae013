"""The label of a triple barrier: :func:`trading_assets.labels.barriers.triple_barrier` on each side."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.labels.barriers import triple_barrier
from trading_assets.labels.kinds.contract import Known, Label
from trading_assets.labels.kinds.registry import register
from trading_assets.settings import LabelSettings


class FirstTouch[S: LabelSettings](Label[S]):
    """Which comes first on the finest candles: target, stop, or the end of the horizon."""

    follows_candles = True

    def rows(self, known: Known, sides: Sequence[Side]) -> pl.DataFrame:
        """Ambiguous ones among them, whatever the policy."""
        bars, wanted = known.bars, self.decided(known)
        if wanted is not None:
            asked = wanted.is_in([int(side) for side in sides])
            bars = bars.with_columns(side=pl.when(asked).then(wanted).otherwise(0))
        return triple_barrier(
            bars,
            known.candles,
            candle_timeframe=known.candle_timeframe,
            settings=self.settings,
            until=known.until,
            keep_ambiguous=True,
            sides=sides,
        )


@register
class TripleBarrier(FirstTouch[LabelSettings]):
    """The first touch after every bar."""

    section = LabelSettings
