"""The registry: what each feature is called, needs and means. One function with one decorator adds features."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from trading_assets.features import bars, windows
from trading_assets.features.bars import INPUTS, Bars
from trading_assets.features.windows import Array

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
        The module that defines it: trend, momentum, volatility, volume, regime, calendar.
    description
        One sentence.
    inputs
        The columns of the bars that it reads.
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
    """

    name: str
    group: str
    description: str
    inputs: tuple[str, ...]
    parameters: Parameters
    lookback: int
    unit: str
    low: float | None
    high: float | None
    source: str


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
        result = frame.once(self.function, **self.features[0].parameters)
        return result if isinstance(result, tuple) else (result,)


class Registry:
    """A set of features. The project's own is ``REGISTRY``; a proof may build one of its own."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.features: dict[str, Feature] = {}

    def feature(
        self,
        *names: str,
        inputs: Sequence[str],
        lookback: int | Callable[..., int],
        unit: str,
        source: str,
        low: float | None = None,
        high: float | None = None,
        each: Sequence[Parameters] = ({},),
    ) -> Callable[[FeatureFunction], FeatureFunction]:
        """Register a function of :class:`Bars` that returns one array, or a tuple of as many as there are ``names``.

        Parameters
        ----------
        names
            Column names; ``{parameter}`` stands for a parameter's value.
        inputs
            The columns of the bars that the function reads.
        lookback
            How many bars a value depends on, the present one included; a number or a function of the parameters.
        unit, source, low, high
            As in :class:`Feature`.
        each
            One set of parameters per call.

        Raises
        ------
        ValueError
            A name is taken or an input unknown.
        """

        def register(function: FeatureFunction) -> FeatureFunction:
            unknown = set(inputs) - set(INPUTS)
            if unknown:
                raise ValueError(f"{function.__name__}: unknown inputs {sorted(unknown)}; known: {INPUTS}")
            for parameters in each:
                members = tuple(
                    Feature(
                        name=name.format(**parameters),
                        group=function.__module__.rsplit(".", 1)[-1],
                        description=(inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " "),
                        inputs=tuple(inputs),
                        parameters=dict(parameters),
                        lookback=lookback if isinstance(lookback, int) else lookback(**parameters),
                        unit=unit,
                        low=low,
                        high=high,
                        source=source,
                    )
                    for name in names
                )
                for member in members:
                    if member.name in self.features:
                        raise ValueError(f"{function.__name__}: there is already a feature {member.name}")
                    self.features[member.name] = member
                self.families.append(Family(function, members))
            return function

        return register

    @property
    def lookback_bars(self) -> int:
        """The longest look-back."""
        return max(feature.lookback for feature in self.features.values())

    def fingerprint(self) -> str:
        """sha256 over names, parameters, look-backs and code; comments, docstrings and formatting don't count."""
        digest = hashlib.sha256()
        for feature in self.features.values():
            digest.update(repr((feature.name, sorted(feature.parameters.items()), feature.lookback)).encode())
        modules = {sys.modules[family.function.__module__] for family in self.families} | {bars, windows}
        for module in sorted(modules, key=lambda module: module.__name__):
            digest.update(_code(module).encode())
        return digest.hexdigest()


REGISTRY: Final = Registry()
feature = REGISTRY.feature


def _code(module: ModuleType) -> str:
    """The module's code as a syntax tree, without docstrings and decorators (whose facts are hashed apart)."""
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            node.body = [part for part in node.body if not _is_text(part)]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
