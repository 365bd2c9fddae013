"""Where the value of a setting came from: a command's flag, an environment variable, or a line of the settings file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

PREFIX: Final = "TRADING_"

Key = tuple[str, ...]
"""A setting's name, part by part."""

_carried: dict[str, str] = {}


def carry(flag: str, variable: str, value: str) -> None:
    """Hand a command's flag on to this process and its children as an environment variable."""
    os.environ[variable] = value
    _carried[variable] = flag


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value stands, and what can be done about it."""

    place: str
    remedy: str


def variable_origin(variable: str) -> Origin:
    """The origin that a variable is; the flag, where a flag of this process set it."""
    if variable in _carried:
        return _flag(_carried[variable])
    return Origin(f"environment variable {variable}", f"change or unset {variable}")


def origins(key: Key, overrides: Mapping[str, Any], file: Path) -> list[Origin]:
    """What set the key, or the parts of it, in the order of precedence; at least the file.

    A flag or variable that sets the whole key stands alone: nothing below it counts. The file is named with the line
    of the key, or with that of the section which lacks it.
    """
    line, there = _line(file, key)
    found: list[Origin] = []
    flags = [(path, _flag(f"--{path[-1].replace('_', '-')}")) for path in _paths(overrides)]
    for path, origin in [*flags, *_variables()]:
        if not _concerns(path, key) or origin in found:
            continue
        found.append(origin)
        if len(path) <= len(key):
            return found
    if there or not found:
        found.append(Origin(f"{file}:{line}", "see the comments in trading.yaml"))
    return found


def repeated(file: Path) -> tuple[Key, int, int] | None:
    """The first key that stands twice in one mapping of the file, with the lines of both; None where none does."""
    todo: list[tuple[Key, yaml.Node | None]] = [((), yaml.compose(file.read_text("utf-8"), Loader=yaml.CSafeLoader))]
    while todo:
        path, node = todo.pop()
        if isinstance(node, yaml.SequenceNode):
            todo += [((*path, str(place)), one) for place, one in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for name, value in node.value:
            line, key = name.start_mark.line + 1, str(name.value)
            if key in lines:
                return (*path, key), lines[key], line
            lines[key] = line
            todo.append(((*path, key), value))
    return None


def _flag(flag: str) -> Origin:
    return Origin(f"flag {flag}", f"give {flag} another value")


def _variables() -> Iterator[tuple[Key, Origin]]:
    """What each variable sets; one that holds JSON sets what stands in there."""
    for variable, value in sorted(os.environ.items()):
        if not variable.upper().startswith(PREFIX):
            continue
        name = tuple(variable[len(PREFIX) :].lower().split("__"))
        try:
            inner = json.loads(value)
        except ValueError:
            inner = None
        paths = [(*name, *path) for path in _paths(inner)] if isinstance(inner, dict) else [name]
        for path in paths:
            yield path, variable_origin(variable)


def _paths(values: Mapping[str, Any]) -> list[Key]:
    """The keys of all values in nested mappings."""
    return [
        (str(name), *path)
        for name, value in values.items()
        for path in (_paths(value) if isinstance(value, Mapping) and value else [()])
    ]


def _concerns(path: Key, key: Key) -> bool:
    """Whether one of the two lies below the other; a key may name the kind of a source on its way."""
    if not key:
        return False
    short, long = sorted(([part.lower() for part in one] for one in (path, key)), key=len)
    rest = iter(long)
    return short[0] == long[0] and all(part in rest for part in short)


def _line(file: Path, key: Sequence[str]) -> tuple[int, bool]:
    """The line of a key, or of what is nearest to it above; and whether the file has the key itself."""
    node: Any = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    line, there = 1, True
    for part in key:
        child = _children(node).get(part)
        there = child is not None
        if child is not None:
            line, node = child
    return line, there


def _children(node: Any) -> dict[str, tuple[int, Any]]:
    """Key or position -> line and node, of a mapping (with what it merges) or a list."""
    if isinstance(node, yaml.SequenceNode):
        return {str(place): (one.start_mark.line + 1, one) for place, one in enumerate(node.value)}
    if not isinstance(node, yaml.MappingNode):
        return {}
    own: dict[str, tuple[int, Any]] = {}
    merged: dict[str, tuple[int, Any]] = {}
    for name, value in node.value:
        if name.tag == "tag:yaml.org,2002:merge":
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                merged = _children(one) | merged
        else:
            own[str(name.value)] = (name.start_mark.line + 1, value)
    return merged | own
