"""Sections that are chosen by ``kind``, of which there may be more than the project brings: estimators, rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any, ClassVar, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.core.plugins.seats import Seat, taken
from trading_assets.settings.names import instead
from trading_assets.settings.sections.ranges import Searched
from trading_assets.settings.sections.section import Misfit, Section

_KIND: Final = re.compile(r"[a-z][a-z0-9_]*")


class KindSection(Section):
    """The parameters of one kind."""

    requires: ClassVar[Mapping[str, str]] = {}
    """Module that it imports -> the package that brings it."""

    search: ClassVar[Mapping[str, Searched] | None] = None
    """Setting -> what a search tries of it; None derives it from the settings' own values and bounds."""

    trains_with: ClassVar[Mapping[str, str]] = {}
    """The same of what only training imports: what was trained is asked without."""

    extra: ClassVar[str] = ""
    """The project's optional dependencies that bring them, where they are none of its own."""

    kind: str

    @classmethod
    def lacks(cls, *, trained: bool = False) -> str | None:
        """Which package is not installed, and the command that installs it; None where all are.

        Parameters
        ----------
        trained
            Only to ask what was trained.
        """
        for module, package in {**cls.requires, **({} if trained else cls.trains_with)}.items():
            if find_spec(module) is None:
                how = f"uv sync --inexact --extra {cls.extra}" if cls.extra else f"uv pip install {package}"
                return f"needs {package}, which is not installed: install it ({how})"
        return None


TRAINED: Final = "trained"
"""Key of the validation context, true where a section describes what was trained already: it need not train again."""


_asked_alone = ContextVar("asked_alone", default=False)


@contextmanager
def only_asked() -> Iterator[None]:
    """Read settings in a process that trains nothing: what only training needs may be absent."""
    token = _asked_alone.set(True)
    try:
        yield
    finally:
        _asked_alone.reset(token)


class Kinds[S: KindSection]:
    """The kinds of one thing that settings may name; as an annotation it reads the section that ``kind`` names.

    Parameters
    ----------
    base
        What the sections have in common.
    what
        The thing, with its article: ``an estimator``.
    *known
        The sections that the project brings.
    default
        The kind of a section that names none; without it, a section must.
    """

    def __init__(self, base: type[S], what: str, *known: type[S], default: str | None = None) -> None:
        self._default = default
        self._base = base
        self._what = what
        self.noun = what.split()[-1]
        self._seat = Seat[type[S]](self.noun)
        for section in known:
            self.add(section)

    def add(self, section: type[S], *, by: type[Any] | None = None) -> None:
        """Let the settings know the parameters of a further kind.

        Parameters
        ----------
        section
            Its ``kind`` has a default: the name under which settings choose it.
        by
            What has these parameters: where it stands is where the kind is from. By default the section itself.

        Raises
        ------
        SettingsError
            If the kind has no usable name, or another one has it already.
        """
        source: Any = by or section
        kind, where = section.model_fields["kind"].default, f"{source.__module__}.{source.__qualname__}"
        if not isinstance(kind, str) or _KIND.fullmatch(kind) is None:
            raise SettingsError(
                f"the kind of {self._what} cannot be {kind!r}",
                where=where,
                remedy='write kind: Literal["my_kind"] = "my_kind", of small letters, digits and _',
            )
        try:
            self._seat.add(kind, section, module=source.__module__, line=source.__firstlineno__)
        except ValueError as error:
            raise SettingsError(str(error), where=where, remedy="give it another kind") from None

    @property
    def sections(self) -> Mapping[str, type[S]]:
        """By kind: those of the project and of the plug-ins in force."""
        return self._seat.known()

    def owner_of(self, section: type[KindSection]) -> str:
        """The plug-in that brings a kind; empty where it is the project's."""
        return self._seat.owner_of(section)

    def names(self) -> tuple[str, ...]:
        """The kinds that settings may name, sorted."""
        return tuple(sorted(self.sections))

    def read(self, values: object, context: Mapping[str, Any] | None = None) -> S:
        """The parameters from a section of the settings.

        Parameters
        ----------
        values
            The section.
        context
            With :data:`TRAINED`, what only training needs may be absent.

        Raises
        ------
        Misfit
            If the section names no kind, one that is not known, or one whose library is not installed.
        """
        if isinstance(values, self._base):
            return values
        if not isinstance(values, Mapping):
            raise Misfit(f"write a section with a kind, e.g. {{kind: {self.names()[0]}}}, not {values!r}")
        kind = values.get("kind", self._default)
        if kind is None:
            raise Misfit(f"kind is required: one of {', '.join(self.names())}")
        section = self.sections.get(str(kind))
        if section is None:
            raise Misfit(f"no {self.noun} {kind!r}; {instead(str(kind), self.names())}", "kind")
        trained = _asked_alone.get() or bool((context or {}).get(TRAINED))
        if lacking := section.lacks(trained=trained):
            raise Misfit(f"the {self.noun} {kind} {lacking}, or choose another kind", "kind")
        return section.model_validate(dict(values), context=dict(context or {}))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate with the section that ``kind`` names, also one that was added later."""
        return core_schema.with_info_before_validator_function(
            lambda values, info: self.read(values, info.context), handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """One table per kind in the reference."""
        return handler(core_schema.union_schema([one.__pydantic_core_schema__ for one in self.sections.values()]))


class Occupants[S: KindSection, T]:
    """What the kinds of a seat are made of, by their parameters: two projects of a process may use one name.

    Parameters
    ----------
    kinds
        What settings may name.
    """

    def __init__(self, kinds: Kinds[S]) -> None:
        self._kinds = kinds
        self._found: dict[type[S], tuple[T, str]] = {}

    def add(self, section: type[S], thing: T, *, by: type[Any]) -> None:
        """Register a thing and its parameters, so that settings may name its kind from then on.

        Parameters
        ----------
        by
            The class that is registered.

        Raises
        ------
        SettingsError
            If another one has that kind, or the class lacks what the contract asks for.
        """
        if lacking := sorted(getattr(by, "__abstractmethods__", ())):
            raise SettingsError(
                f"the {self._kinds.noun} {by.__name__} has no {' and no '.join(lacking)}",
                where=f"{by.__module__}.{by.__qualname__}",
                remedy="write what is missing",
            )
        if section in self._found:
            raise SettingsError(
                taken(self._kinds.noun, str(section.model_fields["kind"].default), self._found[section][1]),
                where=f"{by.__module__}.{by.__qualname__}",
                remedy="give it parameters of its own",
            )
        self._kinds.add(section, by=by)
        self._found[section] = thing, by.__module__

    def of(self, parameters: S) -> T:
        """What has these parameters.

        Raises
        ------
        ModelError
            If none is registered.
        """
        if (found := self._found.get(type(parameters))) is None:
            raise ModelError(
                f"no {self._kinds.noun} {parameters.kind!r} is registered",
                where="models",
                remedy=f"known: {', '.join(self._kinds.names())}; a plug-in must be loaded before its models are",
            )
        return found[0]

    def known(self) -> Mapping[str, T]:
        """By kind: those of the project and of the plug-ins in force."""
        return {kind: self._found[one][0] for kind, one in sorted(self._kinds.sections.items()) if one in self._found}
