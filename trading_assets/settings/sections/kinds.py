"""Sections that are chosen by ``kind``, of which there may be more than the project brings: estimators, rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, ClassVar, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from trading_assets.core.errors import SettingsError
from trading_assets.settings.names import instead
from trading_assets.settings.sections.section import Misfit, Section

_KIND: Final = re.compile(r"[a-z][a-z0-9_]*")


class KindSection(Section):
    """The parameters of one kind."""

    requires: ClassVar[Mapping[str, str]] = {}
    """Module that it imports -> the package that brings it."""

    kind: str


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
        self._noun = what.split()[-1]
        self.sections = {str(section.model_fields["kind"].default): section for section in known}

    def add(self, section: type[S]) -> None:
        """Let the settings know the parameters of a further kind.

        Parameters
        ----------
        section
            Its ``kind`` has a default: the name under which settings choose it.

        Raises
        ------
        SettingsError
            If the kind has no usable name, or another one has it already.
        """
        kind, where = section.model_fields["kind"].default, f"{section.__module__}.{section.__qualname__}"
        if not isinstance(kind, str) or _KIND.fullmatch(kind) is None:
            raise SettingsError(
                f"the kind of {self._what} cannot be {kind!r}",
                where=where,
                remedy='write kind: Literal["my_kind"] = "my_kind", of small letters, digits and _',
            )
        known = self.sections.setdefault(kind, section)
        if known is not section:
            raise SettingsError(
                f"the {self._noun} {kind!r} is there already, in {known.__module__}",
                where=where,
                remedy="give it another kind",
            )

    def names(self) -> tuple[str, ...]:
        """The kinds that settings may name, sorted."""
        return tuple(sorted(self.sections))

    def read(self, values: object) -> S:
        """The parameters from a section of the settings.

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
            raise Misfit(f"no {self._noun} {kind!r}; {instead(str(kind), self.names())}", "kind")
        for module, package in section.requires.items():
            if find_spec(module) is None:
                raise Misfit(
                    f"the {self._noun} {kind} needs {package}, which is not installed: install it "
                    f"(uv pip install {package}), or choose another kind",
                    "kind",
                )
        return section.model_validate(dict(values))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate with the section that ``kind`` names, also one that was added later."""
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """One table per kind in the reference."""
        return handler(core_schema.union_schema([one.__pydantic_core_schema__ for one in self.sections.values()]))
