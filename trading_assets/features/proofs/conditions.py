"""Which conditions of a feature's code the bars of a proof ever met: of a branch that none takes, nothing is proven.

A condition is a comparison in the source of the feature's function or of one that it calls in the same module. The
functions are compiled once more with each comparison noted as it is evaluated, on single numbers and on arrays alike;
what a comparison says of the newest bars counts, since those are the bars that the proofs replay.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.features.framework import computation
from trading_assets.features.framework.auxiliary_series import join
from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.feature_set import Calculation, FeatureFunction, FeatureSet
from trading_assets.features.proofs.divergences import Companions

_NOTE: Final = "__note_condition__"


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison that the bars met in one way only, or not at all.

    Attributes
    ----------
    line, text
        Where it stands in the feature's file, and what it says.
    seen
        What it was: ``True``, ``False``, or None where it was never evaluated.
    """

    line: int
    text: str
    seen: bool | None

    def __str__(self) -> str:
        what = "never evaluated" if self.seen is None else f"never {str(not self.seen).lower()}"
        return f"line {self.line}: {self.text} was {what}"


def unmet_conditions(
    features: FeatureSet, bars: pl.DataFrame, companions: Companions, *, newest: int
) -> dict[str, list[Condition]]:
    """The conditions of each feature that these bars met in one way only; a feature that met all is not there.

    Parameters
    ----------
    features
        Those whose functions have a source file; those of others, and compiled ones, are not looked into.
    bars, companions
        Those of the proofs.
    newest
        How many of the newest bars count.
    """
    columns, joined = computation.arrays(bars, features.timeframe), join(bars, companions)
    found: dict[str, list[Condition]] = {}
    for calculation in features.calculations:
        noted = _Noted(newest)
        function = _instrumented(calculation.function, noted)
        if function is None:
            continue
        frame = Bars(*columns, timeframe=features.timeframe, companions=joined)
        with np.errstate(all="ignore"):
            try:
                Calculation(function, calculation.features).values(frame)
            except Exception:
                continue
        if unmet := noted.unmet():
            found |= {feature.name: unmet for feature in calculation.features}
    return found


class _Noted:
    """What each comparison was, by its place."""

    def __init__(self, newest: int) -> None:
        self._newest = newest
        self._places: dict[int, tuple[int, str]] = {}
        self._seen: dict[int, set[bool]] = {}
        self._owners: dict[int, str] = {}
        self._called: set[str] = set()

    def place(self, owner: str, node: ast.Compare) -> int:
        number = len(self._places)
        self._places[number] = node.lineno, ast.unparse(node)
        self._owners[number] = owner
        return number

    def called(self, owner: str) -> None:
        self._called.add(owner)

    def __call__(self, number: int, value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype == np.bool_:
            newest = array.reshape(-1)[-self._newest :]
            seen = self._seen.setdefault(number, set())
            seen |= {one for one in (True, False) if (newest == one).any()}
        return value

    def unmet(self) -> list[Condition]:
        """Of the functions that ran; a helper that other features call is theirs."""
        return [
            Condition(line, text, next(iter(seen), None))
            for number, (line, text) in self._places.items()
            if self._owners[number] in self._called and len(seen := self._seen.get(number, set())) < 2
        ]


class _Noting(ast.NodeTransformer):
    """Wraps each comparison of a function, and says that the function was called."""

    def __init__(self, owner: str, noted: _Noted) -> None:
        self._owner, self._noted = owner, noted

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        number = self._noted.place(self._owner, node)
        self.generic_visit(node)
        call = ast.Call(ast.Name(_NOTE, ast.Load()), [ast.Constant(number), node], [])
        return ast.copy_location(call, node)


def _instrumented(function: FeatureFunction, noted: _Noted) -> Callable[..., Any] | None:
    """The function with its comparisons noted; None where its source does not say what it does."""
    plain = inspect.unwrap(function)
    module = sys.modules.get(plain.__module__)
    file = inspect.getsourcefile(plain) if inspect.isfunction(plain) else None
    if module is None or file is None or plain.__closure__ or "<locals>" in plain.__qualname__:
        return None
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, SyntaxError):
        return None
    names = {**vars(module), _NOTE: noted, f"{_NOTE}called": noted.called}
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_plain(node, plain.__name__)]
    for node in wanted:
        node.decorator_list = []
        _Noting(node.name, noted).generic_visit(node)
        node.body.insert(0, ast.parse(f"{_NOTE}called({node.name!r})").body[0])
    exec(compile(ast.fix_missing_locations(ast.Module([*wanted], [])), file, "exec"), names)
    made = names.get(plain.__name__)
    return made if callable(made) else None


def _is_plain(node: ast.FunctionDef, feature: str) -> bool:
    """A function without decorators, or the feature's own: its decorator registers, and changes nothing."""
    return node.name == feature or not node.decorator_list
