"""The dashboards' panels as pictures, from a Prometheus that has scraped a node.

Grafana is not asked: matplotlib draws what Prometheus answers to each panel's own expressions, so that the docs can
show what is on a dashboard. Of one's own Prometheus, its last ten minutes:
``python -m deploy.grafana.dashboards.pictures http://127.0.0.1:9090 docs/images``; those of the docs are made by
:mod:`~deploy.grafana.dashboards.replayed`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import typer

from deploy.grafana.dashboards import BOARDS
from deploy.grafana.dashboards.board import Board, Panel, Query

_NOTE: Final = (
    "Drawn by matplotlib from Prometheus' answers to the dashboard's own expressions; not a screenshot of Grafana."
)
_POINTS: Final = 240
_SHOWN: Final = 11
"""Lines of a panel that its legend names."""

_LONG: Final = 22
"""A name of so many letters leaves room for three in a row."""
_LEVEL: Final = 1e-4
_LENGTHS: Final = ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"))

_COLUMNS: Final = {"number": 6, "lines": 2}


class Line(NamedTuple):
    """One series of an answer."""

    name: str
    at: Sequence[datetime]
    values: Sequence[float]


def draw(board: Board, address: str, start: float, end: float, file: Path) -> list[str]:
    """Draw a board's panels, row by row; the titles of those that have no data.

    Parameters
    ----------
    board
        What to draw.
    address
        Of Prometheus.
    start, end
        Seconds since 1970.
    file
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [_lines_of(row.panels) * (0.8 if row.panels[0].kind == "number" else 2.5) + 0.3 for row in board.rows]
    figure = Figure(figsize=(13, sum(heights) + 0.8), layout="constrained", facecolor="#f4f5f5")
    FigureCanvasAgg(figure)
    figure.suptitle(f"Trading: {board.title}", fontsize=15, x=0.01, ha="left", weight="bold")
    parts = figure.subfigures(len(board.rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    empty = []
    for part, row in zip(parts, board.rows, strict=True):
        part.set_facecolor("#f4f5f5")
        part.suptitle(row.title, fontsize=10, x=0.01, ha="left", color="#555555")
        across = _across(row.panels)
        places = part.subplots(_lines_of(row.panels), across, squeeze=False).ravel()
        for place in places[len(row.panels) :]:
            place.set_axis_off()
        for place, panel in zip(places, row.panels, strict=False):
            found = [line for query in panel.queries for line in _answer(address, query, start, end)]
            if panel.kind == "number":
                _number(place, panel, found)
            else:
                place.set_xlim(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
                _plot(place, panel, found)
            if not found:
                empty.append(panel.title)
    figure.text(0.99, 0.998, _NOTE, fontsize=8, color="#777777", ha="right", va="top")
    figure.savefig(file, dpi=80)
    return empty


def draw_all(address: str, start: float, end: float, folder: Path) -> None:
    """Draw every board, and say which panels have no data."""
    for board in BOARDS:
        file = folder / f"dashboard-{board.name}.png"
        empty = draw(board, address, start, end, file)
        typer.echo(f"{file}: {len(board.panels)} panels; no data: {', '.join(empty) or 'none'}")


def _across(panels: Sequence[Panel]) -> int:
    return min(len(panels), _COLUMNS[panels[0].kind])


def _lines_of(panels: Sequence[Panel]) -> int:
    return -(-len(panels) // _across(panels))


def _answer(address: str, query: Query, start: float, end: float) -> list[Line]:
    """What Prometheus says of an expression over the range, of every instance and market."""
    expression = re.sub(r'"\$\w+"', '".*"', query.expr)
    asked = {"query": expression, "start": start, "end": end, "step": max((end - start) / _POINTS, 1)}
    with urlopen(f"{address}/api/v1/query_range?{urlencode(asked)}", timeout=60) as answer:
        found = json.load(answer)["data"]["result"]
    return [
        Line(
            _named(query.legend, one["metric"]),
            [datetime.fromtimestamp(at, UTC) for at, _ in one["values"]],
            [float(value) for _, value in one["values"]],
        )
        for one in found
    ]


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def _plot(place: Any, panel: Panel, found: Sequence[Line]) -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter
    from matplotlib.ticker import FuncFormatter

    place.set_facecolor("white")
    place.set_title(panel.title, fontsize=9, loc="left")
    for number, line in enumerate(found):
        place.plot(line.at, line.values, linewidth=1, label=line.name if number < _SHOWN else None)
    if len(found) > _SHOWN:
        place.plot([], [], " ", label=f"and {len(found) - _SHOWN} more")
    if not found:
        place.text(0.5, 0.5, "no data", transform=place.transAxes, ha="center", color="#999999")
        place.set_yticks([])
    elif any(line.name for line in found):
        across = 4 if max(len(line.name) for line in found[:_SHOWN]) < _LONG else 3
        place.legend(fontsize=7, loc="upper left", bbox_to_anchor=(-0.02, -0.1), frameon=False, ncols=across)
    if panel.words:
        marks = [float(value) for value in panel.words]
        place.set_yticks(marks)
        _reach(place, min(marks), max(marks))
    elif values := [value for line in found for value in line.values if isfinite(value)]:
        lowest, highest = min(values), max(values)
        if highest - lowest <= _LEVEL * abs(highest):  # what does not move reads best beside its zero
            _reach(place, min(lowest, 0.0), max(highest, 0.0) or float(not lowest))
    place.tick_params(labelsize=6)
    place.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=10))  # type: ignore[no-untyped-call]
    place.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))  # type: ignore[no-untyped-call]
    place.yaxis.set_major_formatter(FuncFormatter(lambda value, _: said(value, panel)))
    place.grid(alpha=0.3)
    for side in ("top", "right"):
        place.spines[side].set_visible(False)


def _reach(place: Any, lowest: float, highest: float) -> None:
    room = 0.08 * (highest - lowest)
    place.set_ylim(lowest - room, highest + room)


def _number(place: Any, panel: Panel, found: Sequence[Line]) -> None:
    place.set_facecolor("white")
    place.set_title(panel.title, fontsize=9, loc="left")
    place.set_xticks([])
    place.set_yticks([])
    value = found[0].values[-1] if found else None
    bad = value is not None and panel.limit is not None and value >= panel.limit
    text = "no data" if value is None else said(value, panel)
    place.text(
        0.5,
        0.45,
        text,
        transform=place.transAxes,
        ha="center",
        va="center",
        fontsize=14,
        color="#c4162a" if bad else "#37872d",
    )


def said(value: float, panel: Panel) -> str:
    """A number in a panel's unit."""
    if (word := panel.words.get(f"{value:g}")) is not None:
        return word
    match panel.unit:
        case "percentunit":
            return f"{100 * value:.3g} %"
        case "bytes":
            return f"{value / 1e9:,.1f} GB" if value >= 1e9 else f"{value / 1e6:,.1f} MB"
        case "s" if 0 < abs(value) < 1:
            return f"{value * 1e3:.3g} ms"
        case "s":
            length, name = next((one for one in _LENGTHS if abs(value) >= 2 * one[0]), (1.0, "s"))
            return f"{value / length:,.4g} {name}"
        case "dateTimeFromNow":
            return f"{datetime.fromtimestamp(value / 1000, UTC):%H:%M:%S} UTC"
        case _:
            return f"{value:,.6g}"


def main(address: str, folder: Path, minutes: float = 10) -> None:
    """Draw all boards as of now."""
    end = time.time()
    draw_all(address, end - 60 * minutes, end, folder)


if __name__ == "__main__":
    typer.run(main)
