"""What a right call on an exit plan earns and a wrong one loses, as a training window shows it.

A plan has no one target: what follows the first one depends on how far prices then go. So both are measured, in
multiples of the stop's distance, which every trade has its own of: the means over the trades whose first target came
before the stop, and over those whose stop did. As the rule of entry does, so is this meant as a lower bound: a trade
that time closed is none of the second kind, and counts as one there.
"""

from __future__ import annotations

from typing import Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading_assets.core.errors import ModelError


class PlanPayoff(BaseModel):
    """Before costs, in multiples of the stop's distance.

    Attributes
    ----------
    gain
        Mean return where the first target comes before the stop; nothing where that never happened.
    loss
        Mean loss where the stop comes first, at least 0; a full stop where that never happened.
    hits, misses
        How many trades either is the mean of.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gain: float = Field(allow_inf_nan=False)
    loss: float = Field(ge=0, allow_inf_nan=False)
    hits: int = Field(ge=0)
    misses: int = Field(ge=0)

    @classmethod
    def of(cls, rows: pl.DataFrame, *, cost: float) -> Self:
        """Measured on rows of a data set, of one side.

        Parameters
        ----------
        rows
            Of a training window: ``label``, ``return``, ``stop_loss``.
        cost
            Of a round trip, as a fraction, which the returns are net of.
        """
        earned = (pl.col("return") + cost) / pl.col("stop_loss")
        right, wrong = pl.col("label") == 1, pl.col("label") == -1
        gain, loss, hits, misses = rows.select(
            gain=earned.filter(right).mean(),
            loss=-earned.filter(wrong).mean(),
            hits=right.sum(),
            misses=wrong.sum(),
        ).row(0)
        kept = 0.0 if gain is None else gain, 1.0 if loss is None else max(loss, 0.0)
        return cls(gain=kept[0], loss=kept[1], hits=hits, misses=misses)

    def of_trade(self, stop_loss: float) -> tuple[float, float]:
        """Gain and loss of a trade whose stop is so far from its entry, as fractions of the entry price."""
        return self.gain * stop_loss, self.loss * stop_loss

    def save(self) -> bytes:
        """As it stands in a bundle."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    @classmethod
    def load(cls, content: bytes, name: str) -> Self:
        """From a bundle's file.

        Raises
        ------
        ModelError
            If it is malformed.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ModelError(f"no payoff of an exit plan: {error.errors()[0]['msg']}", where=name) from None
