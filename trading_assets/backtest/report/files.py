"""Where reports are: one page per version of a model, kept as long as the data folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".html"
CHART: Final = "-chart"
"""Behind a version, or a node, in the name of an interactive page."""

NODES: Final = "nodes"
"""The folder of what nodes traded."""
_TRADED: Final = ("active", "approved")
"""The statuses of versions that trade, or may; of what else was tried, the newest is shown only where none does."""


@dataclass(frozen=True, slots=True)
class Report:
    """The page of one version."""

    model: str
    version: int
    file: Path


def report_file(folder: Path, model: str, version: int) -> Path:
    """Where the page of a version is, or will be."""
    return folder / model / f"{version}{_SUFFIX}"


def chart_file(folder: Path, model: str, version: int) -> Path:
    """Where the interactive page of a version is, or will be: beside its report."""
    return folder / model / f"{version}{CHART}{_SUFFIX}"


def node_chart_file(folder: Path, node: str) -> Path:
    """Where the interactive page of what a node traded is, or will be."""
    return folder / NODES / f"{node}{CHART}{_SUFFIX}"


def chart_address(model: str, version: int) -> str:
    """Where the Dagster UI serves the interactive page of a version."""
    return page_address(model, f"{version}{CHART}")


def runs_scripts(name: str) -> bool:
    """Whether a page of this name is an interactive one."""
    return name.endswith(CHART)


def report_address(model: str, version: int) -> str:
    """Where the Dagster UI serves it: see :mod:`trading_assets.defs.lib.compute_logs`."""
    return page_address(model, str(version))


def page_address(model: str, name: str) -> str:
    """Where the Dagster UI serves any page of a model's: a version's, or that of a search."""
    from urllib.parse import quote

    return f"/logs/reports/{quote(model, safe='')}/{quote(name, safe='')}/html"


def pages(folder: Path) -> dict[tuple[str, str], Path]:
    """(model, name) -> page, of all pages: those of versions, which are numbers, and those of searches."""
    return {(page.parent.name, page.stem): page for page in folder.glob(f"*/*{_SUFFIX}")}


def reports(folder: Path) -> list[Report]:
    """All pages, the newest last."""
    pages = (page for page in folder.glob(f"*/*{_SUFFIX}") if page.stem.isdecimal())
    return [
        Report(page.parent.name, int(page.stem), page)
        for page in sorted(pages, key=lambda page: (page.stat().st_mtime, page.parent.name, int(page.stem)))
    ]


def most_wanted(found: Collection[Report], statuses: Mapping[tuple[str, int], str]) -> Report:
    """The newest page of a version that trades, else of one that was approved, else of any.

    Parameters
    ----------
    found
        At least one, the newest last.
    statuses
        (model, version) -> status in the registry, where it is known.
    """
    for status in _TRADED:
        if those := [report for report in found if statuses.get((report.model, report.version)) == status]:
            return those[-1]
    return list(found)[-1]
