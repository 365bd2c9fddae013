"""A rule's record: what became of its signals on a window, and the probability that the next one is given for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.models.windows import Matrix

WANTED: Final = "wanted"
"""Column of a rule's rows: the side of the trade that it wants, 1 or -1; 0 where it wants none."""

_FILE: Final = "record.json"
_PRIOR: Final = 2.0


class Record(BaseModel):
    """The signals of one side and how many reached their target, on a training window.

    Attributes
    ----------
    side
        Of the trades.
    signals, hits
        How many there were, and how many reached their target first.
    base_rate
        The share of all of the window's bars from which a trade of this side would have reached it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: ClassVar[float] = 0.0
    lookback_rows: ClassVar[int] = 1
    features: ClassVar[tuple[str, ...]] = (WANTED,)

    side: Side
    signals: int = Field(ge=0)
    hits: int = Field(ge=0)
    base_rate: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _no_more_hits_than_signals(self) -> Self:
        if self.hits > self.signals:
            raise ValueError(f"{self.hits} hits of {self.signals} signals cannot be")
        return self

    @classmethod
    def of(cls, rows: pl.DataFrame, side: Side) -> Self:
        """The record on rows of a data set, of one side: ``wanted`` and ``label``."""
        hit = pl.col("label") == 1
        wanted = rows.filter(pl.col(WANTED) == int(side))
        rate = float(rows.select(hit.mean()).item() or 0.0)
        return cls(side=side, signals=wanted.height, hits=wanted.select(hit.sum()).item(), base_rate=rate)

    @property
    def probability(self) -> float | None:
        """That a signal reaches its target: the share of those that did, drawn towards the base rate by two signals.

        So a handful of lucky signals is no edge, and a rule of which nothing is known is not traded: None.
        """
        if not self.signals:
            return None
        return (self.hits + _PRIOR * self.base_rate) / (self.signals + _PRIOR)

    def predict(self, rows: pl.DataFrame, history: pl.DataFrame | None = None) -> pl.Series:
        """The probability on each row of a rule; null where it wants no trade of this side."""
        del history
        said = pl.when(pl.col(WANTED) == int(self.side)).then(pl.lit(self.probability, pl.Float64))
        return rows.select(probability=said)["probability"]

    def answers(self, rows: pl.DataFrame, history: pl.DataFrame | None = None) -> pl.DataFrame:
        """What :meth:`predict` says, in a trained model's columns: a rule has no score and makes no sets."""
        return pl.DataFrame(self.predict(rows, history)).with_columns(
            raw_probability=pl.lit(None, pl.Float64), prediction_set=pl.lit(None, pl.Int8)
        )

    def said(self, rows: pl.DataFrame, history: pl.DataFrame | None = None) -> tuple[list[float], list[int] | None]:
        """Probabilities alone, as a rule makes no sets."""
        return self.predict(rows, history).to_list(), None

    def said_of(self, values: Matrix) -> tuple[list[float], list[int] | None]:
        """The same of what a rule wants, as numbers."""
        return self.said(pl.DataFrame(values, schema=list(self.features)))

    @property
    def files(self) -> Mapping[str, bytes]:
        """As it stands in a bundle."""
        return {_FILE: (self.model_dump_json(indent=2) + "\n").encode()}

    @classmethod
    def load(cls, files: Mapping[str, bytes], side: Side) -> Self:
        """From a bundle's files of one side.

        Raises
        ------
        ModelError
            Names the file that is missing, too many or malformed.
        """
        if set(files) != {_FILE}:
            raise ModelError(
                f"a rule's record is {_FILE}, not {', '.join(sorted(files)) or 'nothing'}", where=side.word
            )
        try:
            found = cls.model_validate_json(files[_FILE])
        except ValidationError as error:
            raise ModelError(f"no record of a rule: {error.errors()[0]['msg']}", where=f"{side.word}/{_FILE}") from None
        if found.side is not side:
            raise ModelError(f"this is the record of the {found.side.word} side", where=f"{side.word}/{_FILE}")
        return found
