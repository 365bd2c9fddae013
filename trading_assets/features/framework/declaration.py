"""What a feature's decorator says, before it is known on which timeframe: and on which timeframes it is defined."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework import auxiliary_series as companions
from trading_assets.features.framework.feature_set import Calculation, Feature, FeatureFunction
from trading_assets.features.framework.spans import Span, Window, bars_of

__all__ = ["Column", "Declaration", "FeatureFunction", "Lookback", "Parameters"]

type Parameters = Mapping[str, Window]
type Lookback = Window | Callable[..., int]

LONGEST: Final = timedelta(days=3 * 365 + 1)
"""A feature that looks back further in time is computed where it is named: by default no market waits so long for its
first row. On bars of up to twelve hours none does."""

_ANY: Final = Timeframe.parse("15m")
"""To look at a declaration where none is asked for."""


@dataclass(frozen=True, slots=True)
class Column:
    """What differs between the columns that one call gives."""

    name: str
    unit: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Declaration:
    """One function with one set of parameters: the features that it gives together, on whatever timeframe.

    Attributes
    ----------
    function
        What computes them.
    columns
        Their names, units and ranges.
    parameters
        Windows in bars are numbers, those in time spans.
    lookback, within, minimum, whole
        As in :meth:`trading_assets.features.framework.registry.Registry.feature`.
    """

    function: FeatureFunction
    family: str
    indicator: str
    columns: tuple[Column, ...]
    inputs: tuple[str, ...]
    parameters: Parameters
    lookback: Lookback
    source: str
    nullable: bool
    within: Span | None
    minimum: int
    whole: bool

    @property
    def spans(self) -> tuple[Span, ...]:
        """Every length of time that it looks at."""
        named = (*self.parameters.values(), self.within, self.lookback)
        return tuple(one for one in named if isinstance(one, Span))

    @property
    def companions(self) -> tuple[str, ...]:
        """The companions that it reads."""
        return companions.named_in(self.inputs)

    def undefined(self, timeframe: Timeframe) -> str:
        """Why there is no such feature on a timeframe; empty where there is."""
        for span in self.spans:
            if span.bars(timeframe) < self.minimum:
                has = f"{span} has {span.bars(timeframe)} of its bars"
                return f"{has}, and at least {self.minimum} are needed"
            if self.whole and not span.is_whole(timeframe):
                return f"{span} is no whole number of its bars"
        return ""

    def too_long(self, timeframe: Timeframe) -> bool:
        """Whether it looks back further in time than a set goes that does not name it."""
        return self._lookback(timeframe) * timeframe.length > LONGEST

    def check(self) -> None:
        """Refuse a look-back of less than a bar."""
        if (needed := self._lookback(_ANY)) < 1:
            raise ValueError(f"{self.function.__name__}: a look-back of {needed} bars; give at least 1")

    def on(self, timeframe: Timeframe) -> Calculation:
        """What is to be computed on a timeframe."""
        parameters, lookback = self._in_bars(timeframe), self._lookback(timeframe)
        features = tuple(
            Feature(
                name=column.name,
                family=self.family,
                indicator=self.indicator,
                description=(inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " "),
                inputs=self.inputs,
                windows=self.parameters,
                parameters=parameters,
                lookback=lookback,
                unit=column.unit,
                low=column.low,
                high=column.high,
                source=self.source,
                nullable=self.nullable,
            )
            for column in self.columns
        )
        return Calculation(self.function, features)

    def _in_bars(self, timeframe: Timeframe) -> dict[str, int]:
        return {name: bars_of(window, timeframe) for name, window in self.parameters.items()}

    def _lookback(self, timeframe: Timeframe) -> int:
        if callable(self.lookback):
            return self.lookback(**self._in_bars(timeframe))
        return bars_of(self.lookback, timeframe)
