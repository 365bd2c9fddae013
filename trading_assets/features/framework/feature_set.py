"""The features of one timeframe: all that are defined on it, or those that were chosen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import cast

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework import auxiliary_series as companions
from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.spans import Window
from trading_assets.features.framework.windows import Array

type FeatureFunction = Callable[..., Array | tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class Feature:
    """What is known of one feature on one timeframe.

    Attributes
    ----------
    name
        The column's name: the same meaning on every timeframe.
    family
        The module that defines it: trend, momentum, volatility, ...
    indicator
        What is computed, whatever its parameters and however many columns it gives.
    description
        One sentence.
    inputs
        The columns that it reads: of the bars (``close``) and of companions (``leader.close``).
    windows
        The function's parameters as they are declared: in bars, or in time.
    parameters
        The same in bars of the timeframe.
    lookback
        How many bars its value depends on, the present one included.
    unit
        Of the value.
    low, high
        The range of values; None where there is no bound.
    source
        Who defined it.
    nullable
        Whether it may be null: without its companion, or where the docstring says so.
    """

    name: str
    family: str
    indicator: str
    description: str
    inputs: tuple[str, ...]
    windows: Mapping[str, Window]
    parameters: Mapping[str, int]
    lookback: int
    unit: str
    low: float | None
    high: float | None
    source: str
    nullable: bool = False

    @property
    def companions(self) -> tuple[str, ...]:
        """The companions that it reads."""
        return companions.named_in(self.inputs)


@dataclass(frozen=True, slots=True)
class Calculation:
    """One call of one function: the features that it returns together."""

    function: FeatureFunction
    features: tuple[Feature, ...]

    @property
    def lookback(self) -> int:
        """Of all its features."""
        return self.features[0].lookback

    def values(self, frame: Bars) -> tuple[Array, ...]:
        """One array per feature."""
        result = self.function(frame, **self.features[0].parameters)
        return result if isinstance(result, tuple) else (result,)


class FeatureSet:
    """Features of one timeframe, in the registry's order.

    Parameters
    ----------
    timeframe
        Of the bars.
    calculations
        What computes them.
    names
        The columns that are wanted, where a calculation gives others too.

    Attributes
    ----------
    features
        What is known of each feature, by name.
    """

    def __init__(
        self, timeframe: Timeframe, calculations: Sequence[Calculation], names: Collection[str] | None = None
    ) -> None:
        self.timeframe = timeframe
        self.calculations = tuple(calculations)
        self.features = {
            feature.name: feature
            for calculation in calculations
            for feature in calculation.features
            if names is None or feature.name in names
        }
        self._plans: dict[object, object] = {}

    def only(self, names: Collection[str]) -> FeatureSet:
        """The part with these names: nothing else is computed, and the look-back is theirs."""
        needed = [one for one in self.calculations if any(feature.name in names for feature in one.features)]
        return FeatureSet(self.timeframe, needed, names)

    def planned[T](self, make: Callable[..., T], *key: Hashable) -> T:
        """``make(self, *key)``, made once."""
        if (make, *key) not in self._plans:
            self._plans[make, *key] = make(self, *key)
        return cast("T", self._plans[make, *key])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(self.features)

    @property
    def indicators(self) -> tuple[str, ...]:
        """The distinct indicators: parameter variants and the columns of one calculation count once."""
        return tuple(dict.fromkeys(feature.indicator for feature in self.features.values()))

    @property
    def companions(self) -> tuple[str, ...]:
        """The companions that they read."""
        return tuple(sorted({one for feature in self.features.values() for one in feature.companions}))

    @property
    def nullable(self) -> frozenset[str]:
        """The features that may be null."""
        return frozenset(name for name, feature in self.features.items() if feature.nullable)

    @property
    def solid(self) -> tuple[str, ...]:
        """The features that are never null."""
        return tuple(name for name, feature in self.features.items() if not feature.nullable)

    @cached_property
    def lookback_bars(self) -> int:
        """The longest look-back in bars, the present one included; 1 where there are no features."""
        return max((feature.lookback for feature in self.features.values()), default=1)

    @property
    def lookback(self) -> timedelta:
        """The longest look-back in time, where no bar is missing."""
        return self.lookback_bars * self.timeframe.length
