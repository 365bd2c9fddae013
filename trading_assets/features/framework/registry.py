"""The registry: what each feature is called, needs and means. One function with one decorator adds features."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Final

from trading_assets.core.plugins import plugin_of
from trading_assets.core.plugins.seats import EVERYBODY, Owners, Seat, in_force
from trading_assets.core.syntax import meaning
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework import auxiliary_series, bars, spans, windows
from trading_assets.features.framework.bars import INPUTS
from trading_assets.features.framework.declaration import Column, Declaration, FeatureFunction, Lookback, Parameters
from trading_assets.features.framework.feature_set import FeatureSet
from trading_assets.features.framework.selection import chosen_names
from trading_assets.features.framework.spans import Span

MINIMUM_BARS: Final = 4
"""A window in time that has fewer bars on a timeframe says nothing there, unless a feature declares less."""


@dataclass(slots=True)
class _Held:
    """What a registry holds: declarations, by the plug-in that registered them, and the sets made of them."""

    by_owner: dict[str, list[Declaration]] = field(default_factory=lambda: {EVERYBODY: []})
    names: dict[str, Declaration] = field(default_factory=dict)
    sets: dict[object, FeatureSet] = field(default_factory=dict)


class Registry:
    """Declared features. That of the project and its plug-ins is ``REGISTRY``; a proof may build one of its own."""

    def __init__(self) -> None:
        self._own = _Held()

    @property
    def _held(self) -> _Held:
        return self._own

    def feature(
        self,
        *names: str,
        inputs: Sequence[str],
        lookback: Lookback,
        unit: str | tuple[str, ...],
        source: str,
        low: float | tuple[float | None, ...] | None = None,
        high: float | tuple[float | None, ...] | None = None,
        each: Sequence[Parameters] = ({},),
        indicator: str = "",
        nullable: bool = False,
        within: Span | None = None,
        minimum: int = MINIMUM_BARS,
        whole: bool = False,
    ) -> Callable[[FeatureFunction], FeatureFunction]:
        """Register a function of :class:`Bars` that returns one array, or a tuple of as many as there are ``names``.

        Parameters
        ----------
        names
            Column names; ``{parameter}`` stands for a parameter's value, a :class:`Span` for its name (``1d``).
        inputs
            The columns that the function reads; ``companion.column`` for one of a companion.
        lookback
            How many bars a value depends on, the present one included: a number, a length of time, or a function of
            the parameters, which it gets in bars.
        unit, source, low, high
            As in :class:`Feature`; a tuple has one for each name.
        each
            One set of parameters per call: a window in bars is a number, one in time a :class:`Span`. The function gets
            all of them in bars of the timeframe.
        indicator
            What is computed, where several functions compute the same; by default the function's name.
        nullable
            Whether values may be null; always so with a companion.
        within
            A length of time that the function looks at beside its parameters, such as the day of a time of day.
        minimum
            How many bars each of its lengths of time must have: on a timeframe with fewer, there is no such feature.
        whole
            Whether bars must fill each of its lengths of time exactly.

        Raises
        ------
        ValueError
            A name is taken or lacks its parameter, an input is unknown, or a look-back is not of a bar at least.
        """

        def register(function: FeatureFunction) -> FeatureFunction:
            unknown = set(inputs) - {*INPUTS, *auxiliary_series.INPUTS}
            if unknown:
                known = ", ".join((*INPUTS, *auxiliary_series.INPUTS))
                raise ValueError(f"{function.__name__}: unknown inputs {sorted(unknown)}; known: {known}")
            facts = tuple(zip(names, *(_for_each(one, names) for one in (unit, low, high)), strict=True))
            for parameters in each:
                self.add(
                    Declaration(
                        function=function,
                        family=_family(function.__module__),
                        indicator=indicator or function.__name__,
                        columns=tuple(Column(_named(name, parameters), *rest) for name, *rest in facts),
                        inputs=tuple(inputs),
                        parameters=dict(parameters),
                        lookback=lookback,
                        source=source,
                        nullable=nullable or bool(auxiliary_series.named_in(inputs)),
                        within=within,
                        minimum=minimum,
                        whole=whole,
                    )
                )
            return function

        return register

    def add(self, declaration: Declaration) -> None:
        """Take in a declaration.

        Raises
        ------
        ValueError
            A name is taken, or the look-back is not of a bar at least.
        """
        declaration.check()
        for column in declaration.columns:
            if column.name in self._own.names:
                raise ValueError(f"{declaration.function.__name__}: the feature {column.name!r} is there already")
            self._own.names[column.name] = declaration
        self._own.by_owner[EVERYBODY].append(declaration)
        self._own.sets.clear()

    @property
    def declarations(self) -> list[Declaration]:
        """One for each call of a function."""
        return [one for declared in self._held.by_owner.values() for one in declared]

    @property
    def declared(self) -> Mapping[str, Declaration]:
        """Every feature's declaration, by the feature's name, on whatever timeframes it is defined."""
        return self._held.names

    @property
    def nullable(self) -> frozenset[str]:
        """The features that may be null, on whatever timeframe."""
        return frozenset(name for name, one in self.declared.items() if one.nullable)

    def on(self, timeframe: Timeframe) -> FeatureSet:
        """The features that are defined on a timeframe and do not look back for longer than three years."""
        return self._kept(("default", timeframe), lambda: self._set(timeframe, lambda one: not one.too_long(timeframe)))

    def defined(self, timeframe: Timeframe) -> FeatureSet:
        """All features that are defined on a timeframe, however far they look back."""
        return self._kept(("defined", timeframe), lambda: self._set(timeframe, lambda _: True))

    def _set(self, timeframe: Timeframe, holds: Callable[[Declaration], bool]) -> FeatureSet:
        found = [one.on(timeframe) for one in self.declarations if not one.undefined(timeframe) and holds(one)]
        return FeatureSet(timeframe, found)

    def select(self, wanted: Sequence[str] | None, timeframe: Timeframe) -> FeatureSet:
        """The features of a timeframe that are chosen by name, family or pattern (``rsi_*``); None: :meth:`on`.

        Raises
        ------
        SettingsError
            There is no such feature on the timeframe.
        """
        if wanted is None:
            return self.on(timeframe)
        return self._kept(
            ("chosen", timeframe, *wanted),
            lambda: self.defined(timeframe).only(chosen_names(wanted, self.declared, timeframe)),
        )

    def _kept(self, key: tuple[object, ...], make: Callable[[], FeatureSet]) -> FeatureSet:
        sets = self._held.sets
        if key not in sets:
            sets[key] = make()
        return sets[key]

    def fingerprint(self, names: Collection[str] | None = None) -> str:
        """sha256 over names, parameters, look-backs and code; comments, docstrings and formatting don't count.

        Parameters
        ----------
        names
            Of plug-ins, only the files with one of these features count; None counts all.
        """
        digest = hashlib.sha256()
        own = self._held.by_owner[EVERYBODY]
        digest.update(_described(own))
        modules = {bars, auxiliary_series, spans, windows}
        for one in own:
            modules |= _with_imports(sys.modules[one.function.__module__])
        for module in sorted(modules, key=lambda module: module.__name__):
            digest.update(meaning(inspect.getsource(module)).encode())
        for path in sorted(_KERNELS.glob("*.py")):
            digest.update(meaning(path.read_text("utf-8")).encode())
        for owner in self.owners(names):
            plugin = plugin_of(owner)
            digest.update(_described(self._held.by_owner[owner]) + (plugin.digest if plugin else owner).encode())
        return digest.hexdigest()

    def owners(self, names: Collection[str] | None = None) -> list[str]:
        """The plug-ins that registered some of the features; None asks for all."""
        return [
            owner
            for owner, declared in self._held.by_owner.items()
            if owner != EVERYBODY
            and (names is None or any(column.name in names for one in declared for column in one.columns))
        ]


class SharedRegistry(Registry):
    """The features of the project and of plug-ins: each project sees its own and those of its plug-ins."""

    def __init__(self) -> None:
        super().__init__()
        self._seat = Seat[Declaration]("feature")
        self._views: dict[Owners, tuple[int, _Held]] = {}

    @property
    def _held(self) -> _Held:
        return self._seen(in_force())

    def add(self, declaration: Declaration) -> None:
        """Take in a declaration, for the plug-in that is being loaded, else for everybody."""
        declaration.check()
        function = declaration.function
        for column in declaration.columns:
            try:
                self._seat.add(
                    column.name, declaration, module=function.__module__, line=function.__code__.co_firstlineno
                )
            except ValueError as error:
                raise ValueError(f"{function.__name__}: {error}") from None

    def of_plugin(self, owner: str) -> list[Declaration]:
        """What a plug-in declares."""
        return list(dict.fromkeys(self._seat.of(owner).values()))

    def seen_by(self, owners: Owners | None) -> Registry:
        """What a project with these plug-ins sees; None: what those in force give."""
        if owners is None:
            return self
        view = Registry()
        view._own = self._seen(owners)
        return view

    def _seen(self, owners: Owners) -> _Held:
        version, held = self._views.get(owners, (-1, _Held()))
        if version == self._seat.version:
            return held
        version, held = self._seat.version, _Held()
        for owner in (EVERYBODY, *owners):
            found = self._seat.of(owner)
            held.names |= found
            if found or owner == EVERYBODY:
                held.by_owner[owner] = list(dict.fromkeys(found.values()))
        self._views[owners] = version, held
        return held


REGISTRY: Final = SharedRegistry()
feature = REGISTRY.feature

_PACKAGE: Final = "trading_assets.features."

_KERNELS: Final = Path(windows.__file__).with_name("kernels")
"""The compiled loops: read for the fingerprint, not imported, as that loads numba."""

_FLOORS: Final = frozenset({"framework", "indicators", "context", "proofs"})


def _described(declarations: Sequence[Declaration]) -> bytes:
    said = []
    for one in declarations:
        windows_of = sorted((name, str(window)) for name, window in one.parameters.items())
        rules = (str(one.within), one.minimum, one.whole, "" if callable(one.lookback) else str(one.lookback))
        said.append(repr(([column.name for column in one.columns], windows_of, rules)))
    return "".join(said).encode()


def _for_each[T](fact: T | tuple[T, ...], names: tuple[str, ...]) -> tuple[T, ...]:
    """One fact per name."""
    return fact if isinstance(fact, tuple) else (fact,) * len(names)


def _named(name: str, parameters: Parameters) -> str:
    try:
        return name.format(**parameters)
    except LookupError:
        raise ValueError(f"{name}: no such parameter; there are {', '.join(parameters) or 'none'}") from None


def _family(module: str) -> str:
    """The module or folder of the project's features that a module stands for, the last part of another's name."""
    if not module.startswith(_PACKAGE):
        return module.rsplit(".", 1)[-1]
    return next(part for part in module.removeprefix(_PACKAGE).split(".") if part not in _FLOORS)


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
