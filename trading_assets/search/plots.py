"""Pictures of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from trading_assets.backtest.report.plots import BLUE, GREY, INK, ORANGE, VERMILION, Format, figure_of
from trading_assets.settings import Range
from trading_assets.settings.sections.ranges import Searched, place

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_CELLS: Final = 7
_TICKS: Final = 4


def path_of_best(trials: Sequence[FrozenTrial], *, fmt: Format = "svg") -> bytes:
    """The value of each trial, and of the best one so far; ticks below are trials that were pruned, or failed."""
    done = [one for one in trials if one.state.name == "COMPLETE"]
    with figure_of(8.6, 3.4, fmt) as (figure, save):
        axes = figure.subplots()
        numbers, values = np.array([one.number + 1 for one in done]), np.array([one.value for one in done], dtype=float)
        axes.scatter(numbers, values, s=16, color=BLUE, alpha=0.55, linewidths=0, label="a trial")
        if len(done):
            axes.step(numbers, np.maximum.accumulate(values), where="post", color=INK, linewidth=1.4, label="the best")
        low = float(values.min()) if len(done) else 0.0
        for state, colour, label in (("PRUNED", ORANGE, "pruned"), ("FAIL", VERMILION, "failed")):
            ended = [one.number + 1 for one in trials if one.state.name == state]
            if ended:
                axes.scatter(ended, [low] * len(ended), s=24, marker="|", color=colour, label=f"{len(ended)} {label}")
        axes.set_title("What each trial was worth: Sharpe ratio less its error, on the searched part")
        axes.set_xlabel("trial")
        axes.legend(fontsize=8, loc="lower right", ncols=4)
        return save()


def importance(weights: Mapping[str, float], *, fmt: Format = "svg") -> bytes:
    """How much each setting decides whether a trial is among the best."""
    names = list(weights)[::-1]
    with figure_of(4.2, 1.0 + 0.26 * len(names), fmt) as (figure, save):
        axes = figure.subplots()
        bars = axes.barh(range(len(names)), [weights[name] for name in names], color=BLUE, alpha=0.8, height=0.7)
        axes.bar_label(bars, fmt="%.0f%%", labels=[f"{weights[name]:.0%}" for name in names], padding=3, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_xlim(0, max(weights.values()) * 1.2)
        axes.grid(visible=False, axis="y")
        axes.set_title("Importance of settings")
        return save()


def heat_map(
    trials: Sequence[FrozenTrial], names: tuple[str, str], space: Mapping[str, Searched], *, fmt: Format = "svg"
) -> bytes:
    """The mean value of the trials in each cell of two settings; the best one is marked."""
    done = [one for one in trials if one.state.name == "COMPLETE"]
    places = [np.array([place(space[name], one.params[name]) for one in done]) for name in names]
    sizes = [_cells(space[name]) for name in names]
    cells = [np.minimum((at * size).astype(int), size - 1) for at, size in zip(places, sizes, strict=True)]
    grid = np.full((sizes[1], sizes[0]), np.nan)
    values = np.array([one.value for one in done], dtype=float)
    for x, y in set(zip(*cells, strict=True)):
        grid[y, x] = values[(cells[0] == x) & (cells[1] == y)].mean()
    with figure_of(4.6, 3.9, fmt) as (figure, save):
        axes = figure.subplots()
        image = axes.imshow(grid, origin="lower", aspect="auto", extent=(0, 1, 0, 1), cmap="cividis")
        figure.colorbar(image, ax=axes, shrink=0.85)
        axes.scatter(places[0], places[1], s=7, color="white", edgecolors=INK, linewidths=0.4)
        best = int(values.argmax())
        axes.scatter(
            places[0][best], places[1][best], s=90, marker="*", color=VERMILION, edgecolors="white", linewidths=0.8
        )
        axes.set_xticks(*_ticks(space[names[0]]))
        axes.set_yticks(*_ticks(space[names[1]]))
        axes.grid(visible=False)
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])
        axes.set_title("Mean value of trials")
        return save()


def deflated(by_trials: Sequence[tuple[int, float]], required: float, *, fmt: Format = "svg") -> bytes:
    """The deflated Sharpe ratio of what was found, by how many trials there were."""
    counts, ratios = zip(*by_trials, strict=True)
    with figure_of(4.2, 3.9, fmt) as (figure, save):
        axes = figure.subplots()
        axes.plot(counts, ratios, color=BLUE, linewidth=1.6)
        axes.scatter(counts[-1:], ratios[-1:], color=VERMILION, zorder=3, s=34, label=f"{counts[-1]} trials")
        axes.axhline(required, color=GREY, linewidth=0.9, linestyle="--", label=f"asked for: {required:g}")
        axes.set_xscale("log")
        axes.set_ylim(0, 1.03)
        axes.set_xlabel("trials")
        axes.set_title("Deflated Sharpe on the unseen windows")
        axes.legend(fontsize=8, loc="lower left")
        return save()


def _cells(searched: Searched) -> int:
    return _CELLS if isinstance(searched, Range) else len(searched)


def _ticks(searched: Searched) -> tuple[npt.NDArray[np.float64], list[str]]:
    if not isinstance(searched, Range):
        at = (np.arange(len(searched)) + 0.5) / len(searched)
        return at, [str(one) for one in searched]
    at = np.linspace(0, 1, _TICKS)
    low, high = (math.log(one) if searched.log else one for one in (searched.low, searched.high))
    values = low + at * (high - low)
    return at, [f"{math.exp(one) if searched.log else one:.3g}" for one in values]
