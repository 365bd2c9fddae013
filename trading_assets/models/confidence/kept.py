"""What a model's scores become, as it stands in a bundle, and what was found when it was decided."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationError, field_validator

from trading_assets.core.errors import ModelError
from trading_assets.models.confidence.conformal import Conformal, Sets
from trading_assets.models.confidence.curve import Array, Curve, Frozen, curve_of
from trading_assets.validation import Gain

_RANK: Final = 1e-6
"""Share of the score in what sets are made by: a calibrator that says the same of many scores leaves them in order."""


class Calibration(Frozen):
    """Whether a calibrator was kept, and why.

    Attributes
    ----------
    asked
        Its kind.
    kept
        Whether it stays.
    why
        For people.
    brier_plain, brier_calibrated
        On rows that neither the model nor the calibrator had seen; None where it could not be measured.
    gain_low, gain_high
        The interval of their difference; None where too little was seen.
    rows
        How many rows that was.
    """

    asked: str
    kept: bool
    why: str
    brier_plain: float | None = None
    brier_calibrated: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    rows: int = Field(0, ge=0)

    @property
    def gain(self) -> float | None:
        """By how much the Brier score fell."""
        if self.brier_plain is None or self.brier_calibrated is None:
            return None
        return self.brier_plain - self.brier_calibrated

    @classmethod
    def of(cls, asked: str, gain: Gain) -> Self:
        """By what it gains."""
        return cls(
            asked=asked,
            kept=bool(gain),
            why=f"{gain}: {'more than noise' if gain else 'worse' if gain.high < 0 else 'no more than noise'}",
            brier_plain=gain.before,
            brier_calibrated=gain.after,
            gain_low=None if math.isnan(gain.low) else gain.low,
            gain_high=None if math.isnan(gain.high) else gain.high,
            rows=gain.rows,
        )


class Confidence(Frozen):
    """From a model's score to its probability and its prediction set.

    Attributes
    ----------
    calibration
        What was found; None where no calibrator was asked for.
    curve
        The calibrator; None where the plain score stays.
    conformal
        What sets are made by; None where none were asked for.
    """

    format: Literal[1] = 1
    calibration: Calibration | None = None
    curve: SerializeAsAny[Curve] | None = None
    conformal: Conformal | None = None

    @field_validator("curve", mode="plain")
    @classmethod
    def _of_its_kind(cls, value: Any) -> Curve | None:
        if value is None or isinstance(value, Curve):
            return value
        if not isinstance(value, dict):
            raise ValueError("a curve is a section with a kind")
        try:
            return curve_of(str(value.get("kind"))).model_validate(value)
        except ModelError as error:
            raise ValueError(error.what) from None

    def probabilities(self, scores: Array) -> Array:
        """What the scores mean."""
        return scores if self.curve is None else self.curve.apply(scores)

    def sets(self, scores: Array) -> Sets | None:
        """The prediction set of each score; None where none are made."""
        return None if self.conformal is None else self.conformal.sets(self.ranked(scores))

    def ranked(self, scores: Array) -> Array:
        """Probabilities that keep the order of the scores where a calibrator says the same of several."""
        if self.curve is None:
            return scores
        mixed: Array = (1 - _RANK) * self.curve.apply(scores) + _RANK * scores
        return mixed

    def reach(self, tolerance: float) -> float:
        """How far apart the probabilities of scores may be that are ``tolerance`` apart."""
        return tolerance if self.curve is None or tolerance == 0 else self.curve.reach(tolerance)

    def save(self) -> bytes:
        """As it stands in a bundle."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def load(cls, content: bytes, where: str) -> Self:
        """From a bundle's file; executes nothing.

        Raises
        ------
        ModelError
            Names what is malformed.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise ModelError(
                f"{place + ': ' if place else ''}{wrong['msg']}", where=where, remedy="train it again"
            ) from None
