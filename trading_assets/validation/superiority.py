"""Whether the best of many variants earns anything, or is the best only because there were many.

The test of superior predictive ability asks how probable so good a best variant is if none of them earns anything; it
looks at all variants together, so their number and their likeness count. Step-wise multiple testing says which of them
earn something, with one error probability for the whole list. Both resample the days of all variants alike, in blocks
of random length, so that what moves together stays together.

Sources: P. R. Hansen, "A Test for Superior Predictive Ability", *JBES* 23(4), 2005 (the consistent p-value);
J. P. Romano and M. Wolf, "Stepwise Multiple Testing as Formalized Data Snooping", *Econometrica* 73(4), 2005. Both as
the library ``arch`` has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from trading_assets.validation.performance import FLAT, finite

if TYPE_CHECKING:
    from arch.bootstrap import StepM

MIN_DAYS: Final = 20
"""Fewer make no blocks to resample."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Superiority:
    """What became of the test.

    Attributes
    ----------
    p_value
        Probability of so good a best variant if none earns anything; NaN where nothing could be tested.
    variants
        How many were compared: those whose returns are not all the same.
    superior
        Positions of the variants that earn something, by step-wise testing.
    """

    p_value: float
    variants: int
    superior: tuple[int, ...]


def superior_ability(returns: npt.ArrayLike, *, resamples: int = 500, size: float = 0.05, seed: int = 7) -> Superiority:
    """Test the daily returns of variants against earning nothing.

    Parameters
    ----------
    returns
        ``(days, variants)``; each column may have its own scale, since the test divides by its error.
    resamples
        How many bootstrap samples; the p-value is a multiple of one over it.
    size
        Of the step-wise test: the probability that a variant without any gain is among those named.
    seed
        The same seed gives the same result.

    Raises
    ------
    InvalidFrame
        If a value is not finite.
    """
    table = finite(returns, "returns", dimensions=2)
    lively = np.flatnonzero(table.std(axis=0) >= FLAT)
    if table.shape[0] < MIN_DAYS or not lively.size:
        return Superiority(float("nan"), int(lively.size), ())
    from arch.bootstrap import SPA, StepM

    losses = -table[:, lively]
    nothing = np.zeros(table.shape[0])
    test = SPA(nothing, losses, reps=resamples, bootstrap="stationary", seed=seed)
    test.compute()
    steps = StepM(nothing, losses, size=size, reps=resamples, bootstrap="stationary", seed=seed)
    return Superiority(float(test.pvalues["consistent"]), int(lively.size), tuple(map(int, lively[_named(steps)])))


def _named(steps: StepM) -> list[int]:
    """The variants that earn something."""
    try:
        steps.compute()
    except ValueError as error:
        if "zero-size" not in str(error):
            raise
        return list(range(steps.k))  # all are named by now, and its next step asked for the best of none
    return [int(str(one)) for one in steps.superior_models]
