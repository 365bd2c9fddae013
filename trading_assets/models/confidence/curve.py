"""What a calibrator is: it maps a model's score to a probability, and is saved as a few numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from trading_assets.core.errors import ModelError, SettingsError

Array = npt.NDArray[np.float64]


class Frozen(BaseModel):
    """Numbers as they stand in a bundle: nothing unknown, nothing that is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Curve(Frozen, ABC):
    """A fitted calibrator: never falling, within 0 and 1, and the same for a score in every batch.

    A subclass is a pydantic model of what is saved, numbers and lists of numbers, with a ``kind`` of its own; its
    validators refuse what is no such curve, since a bundle's file may hold anything.
    """

    kind: str

    @classmethod
    @abstractmethod
    def fit(cls, scores: Array, hit: Array) -> Self:
        """Learn from scores that their model gave without having seen the outcomes.

        Every row counts the same, whatever its weight in training: the probability is said of every row alike.

        Parameters
        ----------
        scores
            In [0, 1], in any order.
        hit
            The outcomes, 1 or 0; maybe only one of the two.
        """

    @abstractmethod
    def apply(self, scores: Array) -> Array:
        """The probability of each score; NaN for one that is NaN."""

    @abstractmethod
    def reach(self, tolerance: float) -> float:
        """How far apart the probabilities of two scores may be that are ``tolerance`` apart, at most."""


_CURVES: Final[dict[str, type[Curve]]] = {}


def register[C: Curve](curve: type[C]) -> type[C]:
    """Add a calibrator; a decorator of its class.

    Raises
    ------
    SettingsError
        If another one has that kind.
    """
    kind = str(curve.model_fields["kind"].default)
    if kind in _CURVES:
        raise SettingsError(f"the calibrator {kind} is registered twice", where=curve.__module__)
    _CURVES[kind] = curve
    return curve


def curve_of(kind: str) -> type[Curve]:
    """The calibrator of a kind.

    Raises
    ------
    ModelError
        If none is registered.
    """
    if kind not in _CURVES:
        raise ModelError(f"no calibrator {kind!r}", where="confidence", remedy=f"known: {', '.join(sorted(_CURVES))}")
    return _CURVES[kind]


def registered() -> Mapping[str, type[Curve]]:
    """The calibrators by kind."""
    return dict(sorted(_CURVES.items()))


def check_ascending(values: list[float], what: str, *, strictly: bool = False) -> None:
    """Refuse numbers that fall, as a validator does."""
    steps = np.diff(values)
    if (steps <= 0).any() if strictly else (steps < 0).any():
        raise ValueError(f"{what} must ascend")
