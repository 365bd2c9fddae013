"""The registry: what each feature is called, needs and means. One function with one decorator adds features."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, cast

from trading_assets.core.syntax import meaning
from trading_assets.features.framework import auxiliary_series as companions
from trading_assets.features.framework import bars, windows
from trading_assets.features.framework.bars import INPUTS, Bars
from trading_assets.features.framework.windows import Array

type FeatureFunction = Callable[..., Array | tuple[Array, ...]]
type Parameters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Feature:
    """What the registry knows of one feature.

    Attributes
    ----------
    name
        The column's name.
    group
        The module that defines it: trend, momentum, volatility, ...
    indicator
        What is computed, whatever its parameters and however many columns it gives.
    description
        One sentence.
    inputs
        The columns that it reads: of the bars (``close``) and of companions (``leader.close``).
    parameters
        The function's parameters, in bars.
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
    group: str
    indicator: str
    description: str
    inputs: tuple[str, ...]
    parameters: Parameters
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
class Family:
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


class Registry:
    """A set of features. The project's own is ``REGISTRY``; a proof may build one of its own."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.features: dict[str, Feature] = {}
        self._plans: dict[object, object] = {}

    def feature(
        self,
        *names: str,
        inputs: Sequence[str],
        lookback: int | Callable[..., int],
        unit: str | tuple[str, ...],
        source: str,
        low: float | tuple[float | None, ...] | None = None,
        high: float | tuple[float | None, ...] | None = None,
        each: Sequence[Parameters] = ({},),
        indicator: str = "",
        nullable: bool = False,
    ) -> Callable[[FeatureFunction], FeatureFunction]:
        """Register a function of :class:`Bars` that returns one array, or a tuple of as many as there are ``names``.

        Parameters
        ----------
        names
            Column names; ``{parameter}`` stands for a parameter's value.
        inputs
            The columns that the function reads; ``companion.column`` for one of a companion.
        lookback
            How many bars a value depends on, the present one included; a number or a function of the parameters.
        unit, source, low, high
            As in :class:`Feature`; a tuple has one for each name.
        each
            One set of parameters per call.
        indicator
            What is computed, where several functions compute the same; by default the function's name.
        nullable
            Whether values may be null; always so with a companion.

        Raises
        ------
        ValueError
            A name is taken or lacks its parameter, an input is unknown, or a look-back is not of a bar at least.
        """

        def register(function: FeatureFunction) -> FeatureFunction:
            unknown = set(inputs) - {*INPUTS, *companions.INPUTS}
            if unknown:
                known = ", ".join((*INPUTS, *companions.INPUTS))
                raise ValueError(f"{function.__name__}: unknown inputs {sorted(unknown)}; known: {known}")
            facts = tuple(zip(names, *(_for_each(one, names) for one in (unit, low, high)), strict=True))
            for parameters in each:
                bars_needed = lookback if isinstance(lookback, int) else lookback(**parameters)
                if bars_needed < 1:
                    raise ValueError(f"{function.__name__}: a look-back of {bars_needed} bars; give at least 1")
                members = tuple(
                    Feature(
                        name=_named(name, parameters),
                        group=_group(function.__module__),
                        indicator=indicator or function.__name__,
                        description=(inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " "),
                        inputs=tuple(inputs),
                        parameters=dict(parameters),
                        lookback=bars_needed,
                        unit=its_unit,
                        low=lowest,
                        high=highest,
                        source=source,
                        nullable=nullable or bool(companions.named_in(inputs)),
                    )
                    for name, its_unit, lowest, highest in facts
                )
                self.add(Family(function, members))
            return function

        return register

    def add(self, family: Family) -> None:
        """Take in a family.

        Raises
        ------
        ValueError
            A name is taken.
        """
        for member in family.features:
            if member.name in self.features:
                raise ValueError(f"{family.function.__name__}: there is already a feature {member.name}")
            self.features[member.name] = member
        self.families.append(family)
        self._plans.clear()

    def planned[T](self, make: Callable[..., T], *key: Hashable) -> T:
        """``make(self, *key)``, made once as long as no feature is added."""
        if (make, *key) not in self._plans:
            self._plans[make, *key] = make(self, *key)
        return cast("T", self._plans[make, *key])

    @property
    def indicators(self) -> tuple[str, ...]:
        """The distinct indicators: parameter variants and the columns of one calculation count once."""
        return tuple(dict.fromkeys(feature.indicator for feature in self.features.values()))

    @property
    def nullable(self) -> frozenset[str]:
        """The features that may be null."""
        return frozenset(name for name, feature in self.features.items() if feature.nullable)

    @property
    def solid(self) -> tuple[str, ...]:
        """The features that are never null."""
        return tuple(name for name, feature in self.features.items() if not feature.nullable)

    @property
    def lookback_bars(self) -> int:
        """The longest look-back."""
        return max(feature.lookback for feature in self.features.values())

    def fingerprint(self) -> str:
        """sha256 over names, parameters, look-backs and code; comments, docstrings and formatting don't count."""
        digest = hashlib.sha256()
        for feature in self.features.values():
            digest.update(repr((feature.name, sorted(feature.parameters.items()), feature.lookback)).encode())
        modules = {bars, windows, companions}
        for family in self.families:
            modules |= _with_imports(sys.modules[family.function.__module__])
        for module in sorted(modules, key=lambda module: module.__name__):
            digest.update(meaning(inspect.getsource(module)).encode())
        for path in sorted(_KERNELS.glob("*.py")):
            digest.update(meaning(path.read_text("utf-8")).encode())
        return digest.hexdigest()


REGISTRY: Final = Registry()
feature = REGISTRY.feature

_PACKAGE: Final = "trading_assets.features."

_KERNELS: Final = Path(windows.__file__).with_name("kernels")
"""The compiled loops: read for the fingerprint, not imported, as that loads numba."""


def _for_each[T](fact: T | tuple[T, ...], names: tuple[str, ...]) -> tuple[T, ...]:
    """One fact per name."""
    return fact if isinstance(fact, tuple) else (fact,) * len(names)


def _named(name: str, parameters: Parameters) -> str:
    try:
        return name.format(**parameters)
    except LookupError:
        raise ValueError(f"{name}: no such parameter; there are {', '.join(parameters) or 'none'}") from None


def _group(module: str) -> str:
    """The family's module or, of patterns, its package; the last part of another's module."""
    if not module.startswith(_PACKAGE):
        return module.rsplit(".", 1)[-1]
    return module.removeprefix(_PACKAGE).removeprefix("indicators.").removeprefix("context.").split(".")[0]


def _with_imports(module: ModuleType) -> set[ModuleType]:
    """A module of features and those of this package that it takes functions from."""
    found, pending = set[ModuleType](), [module]
    while pending:
        one = pending.pop()
        if one in found:
            continue
        found.add(one)
        names = {getattr(value, "__module__", "") for value in vars(one).values()}
        pending += [sys.modules[name] for name in names if name.startswith(_PACKAGE) and name != __name__]
    return found
