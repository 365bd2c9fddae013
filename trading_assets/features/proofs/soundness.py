"""What a feature must be before anything can be proven of it: one finite number per bar, within what it declares."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.feature_set import Calculation, Feature, FeatureSet
from trading_assets.features.framework.windows import Array

_ROUNDING = 1e-9
"""By so much, relative to the bounds, a value may be out of its range."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a feature in itself.

    Attributes
    ----------
    feature
        The column.
    what
        What it did, with the offending value.
    ts
        The open of the first bar with it; None where it holds of all.
    """

    feature: str
    what: str
    ts: datetime | None = None

    def __str__(self) -> str:
        return (
            f"{self.feature} {self.what}"
            if self.ts is None
            else f"{self.feature} at {self.ts:%Y-%m-%d %H:%M}: {self.what}"
        )


def guarded(features: FeatureSet, flaws: dict[str, Flaw]) -> FeatureSet:
    """The same features; one that raises, or gives anything but a number per bar, is NaN and put into ``flaws``."""
    safe = [Calculation(_guarded(one, flaws), one.features) for one in features.calculations]
    return FeatureSet(features.timeframe, safe, features.names)


def _guarded(calculation: Calculation, flaws: dict[str, Flaw]) -> Callable[..., tuple[Array, ...]]:
    def values(frame: Bars, **parameters: int) -> tuple[Array, ...]:
        try:
            given = calculation.function(frame, **parameters)
        except Exception as error:  # whatever a function of a user raises
            what = f"raises {type(error).__name__}: {error}{_line(calculation, error)}"
        else:
            arrays = given if isinstance(given, tuple) else (given,)
            what = _misfit(arrays, len(calculation.features), len(frame))
            if not what:
                return arrays
        for feature in calculation.features:
            flaws.setdefault(feature.name, Flaw(feature.name, what))
        return tuple(np.full(len(frame), np.nan) for _ in calculation.features)

    return values


def _line(calculation: Calculation, error: Exception) -> str:
    """Where in the feature's own file an error came about."""
    file = inspect.getsourcefile(inspect.unwrap(calculation.function))
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == file]
    return f" (line {lines[-1]})" if lines else ""


def _misfit(arrays: Sequence[object], wanted: int, bars: int) -> str:
    """What is wrong with the shape of a function's result; empty where nothing is."""
    if len(arrays) != wanted:
        return f"returns {len(arrays)} arrays for {wanted} names"
    for array in arrays:
        if not isinstance(array, np.ndarray):
            return f"returns {type(array).__name__} instead of a NumPy array"
        if array.shape != (bars,):
            return f"returns an array of shape {array.shape} for {bars:,} bars"
        if array.dtype.kind not in "fiub":
            return f"returns an array of {array.dtype} instead of numbers"
    return ""


def unsound_values(features: FeatureSet, rows: pl.DataFrame) -> list[Flaw]:
    """The features that are not finite (null, where declared so), or not within the declared range.

    Parameters
    ----------
    rows
        What the set gave for some bars and all companions.
    """
    flaws = (_unsound(feature, rows[name].to_numpy(), rows["ts"]) for name, feature in features.features.items())
    return [flaw for flaw in flaws if flaw]


def _unsound(feature: Feature, values: Array, ts: pl.Series) -> Flaw | None:
    missing = np.isnan(values)
    if feature.nullable and missing.all():
        return Flaw(feature.name, "is null in every bar")
    low = -np.inf if feature.low is None else feature.low
    high = np.inf if feature.high is None else feature.high
    slack = _ROUNDING * (1 + max((abs(bound) for bound in (feature.low, feature.high) if bound is not None), default=0))
    for wrong, what in (
        (missing & (not feature.nullable), "is not a number"),
        (np.isinf(values), "is infinite"),
        ((values < low - slack) | (values > high + slack), f"is outside {low:g} .. {high:g}"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            return Flaw(feature.name, f"{float(values[row])!r} {what}", ts[row])
    return None
