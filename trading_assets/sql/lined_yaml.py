"""YAML that remembers on which line everything stood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from trading_assets.core.errors import SqlModelError


class Lined(dict[Any, Any]):
    """A mapping and the line that it begins on."""

    line: int = 1


class Text(str):
    """A text and the line that it stands on."""

    __slots__ = ("line",)
    line: int


class _Loader(yaml.CSafeLoader):
    """Makes the two of them; the parser in C is eight times as fast as the one in Python."""


class _Explaining(yaml.SafeLoader):
    """The one in Python: it knows better on which line something is wrong."""


def _mapping(loader: _Loader | _Explaining, node: yaml.MappingNode) -> Lined:
    loader.flatten_mapping(node)
    found = Lined(loader.construct_mapping(node, deep=True))
    found.line = node.start_mark.line + 1
    return found


def _text(loader: _Loader | _Explaining, node: yaml.ScalarNode) -> Text:
    found = Text(loader.construct_scalar(node))
    found.line = node.start_mark.line + 1
    return found


for _one in (_Loader, _Explaining):
    _one.add_constructor("tag:yaml.org,2002:map", _mapping)
    _one.add_constructor("tag:yaml.org,2002:str", _text)


def read_yaml(path: Path) -> Any:
    """Read a file; its mappings are :class:`Lined`, its texts :class:`Text`.

    Raises
    ------
    SqlModelError
        With file and line, if it is no YAML.
    """
    text = path.read_text(encoding="utf-8")
    try:
        try:
            return yaml.load(text, Loader=_Loader)
        except yaml.MarkedYAMLError:
            return yaml.load(text, Loader=_Explaining)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise SqlModelError(f"no YAML: {error.problem}", where=f"{path}:{line}", remedy="mend the file") from None


def line_of(thing: object, otherwise: object) -> int:
    """The line of a mapping or text; that of ``otherwise``, or the number itself, where it has none."""
    for one in (thing, otherwise):
        if isinstance(one, Lined | Text):
            return one.line
    return otherwise if isinstance(otherwise, int) else 1
