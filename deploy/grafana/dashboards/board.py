"""A dashboard as what it shows: rows of panels, each with its questions to Prometheus. Knows no Grafana."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Unit = Literal["short", "s", "bytes", "percentunit", "currency", "none", "dateTimeFromNow"]

NO_WORDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Query:
    """One question, and how its series are called: ``{{label}}`` stands for a label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes
    ----------
    title, text
        What it shows, and how to read it.
    queries
        Its lines, or its number.
    unit
        Of all of them.
    kind
        Lines over time, or the newest number.
    limit
        From here on the number is red.
    words
        Number -> what it means.
    """

    title: str
    queries: tuple[Query, ...]
    text: str = ""
    unit: Unit = "short"
    kind: Literal["lines", "number"] = "lines"
    limit: float | None = None
    words: Mapping[str, str] = field(default_factory=lambda: NO_WORDS)


@dataclass(frozen=True)
class Row:
    """Panels side by side."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """A dashboard.

    Attributes
    ----------
    name
        Of its file, and its address in Grafana.
    title, text
        For people.
    rows
        From top to bottom.
    """

    name: str
    title: str
    text: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> list[Panel]:
        """All panels, row by row."""
        return [panel for row in self.rows for panel in row.panels]


def lines(
    title: str,
    *queries: tuple[str, str],
    unit: Unit = "short",
    text: str = "",
    words: Mapping[str, str] = NO_WORDS,
) -> Panel:
    """Lines over time from (expression, name of its series)."""
    return Panel(title, tuple(Query(*one) for one in queries), text, unit, words=words)


def number(
    title: str,
    expr: str,
    *,
    unit: Unit = "short",
    limit: float | None = None,
    text: str = "",
    words: Mapping[str, str] = NO_WORDS,
) -> Panel:
    """The newest number of an expression."""
    return Panel(title, (Query(expr),), text, unit, "number", limit, words)
