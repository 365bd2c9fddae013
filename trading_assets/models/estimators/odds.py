"""Probabilities and their log-odds: the one scale on which scores, stacks and contributions add up."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

type Array = npt.NDArray[np.float64]

_FARTHEST: Final = 500.0
"""Beyond, a double knows no other probability than 0 or 1, and the exponential overflows."""


def chance_of(odds: npt.ArrayLike) -> Array:
    """The probability of log-odds."""
    chance: Array = 1 / (1 + np.exp(-np.clip(odds, -_FARTHEST, _FARTHEST)))
    return chance


def log_odds(chance: npt.ArrayLike, *, nearest: float = 1e-15) -> Array:
    """The log-odds of a probability, which counts as no nearer to 0 and 1 than ``nearest``, so that they are finite."""
    kept = np.clip(chance, nearest, 1 - nearest)
    odds: Array = np.log(kept / (1 - kept))
    return odds
