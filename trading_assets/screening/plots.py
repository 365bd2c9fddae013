"""The picture of a screening: what sets are worth in each cell of the two parameters that decide most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.backtest.report.plots import INK, VERMILION, Format, figure_of
from trading_assets.settings import Range
from trading_assets.settings.sections.ranges import Searched, place

type Cells = npt.NDArray[np.int64]

_CELLS: Final = 14
_TICKS: Final = 4


def decisive(table: pl.DataFrame, space: Mapping[str, Searched]) -> list[str]:
    """The parameters by the share of the variance of ``value`` that their cells explain, the largest first."""
    value = table["value"].to_numpy()

    def explained(name: str) -> float:
        cells = _cells(table, name, space[name])
        counts = np.bincount(cells)
        means = np.bincount(cells, value) / np.maximum(counts, 1)
        return float(np.sum(counts * (means - value.mean()) ** 2))

    return sorted(space, key=explained, reverse=True)


def heat_map(table: pl.DataFrame, space: Mapping[str, Searched], *, fmt: Format = "svg") -> bytes:
    """The mean ``value`` of the sets in each cell of the two parameters that decide most; the best set is marked.

    A peak whose neighbours are as good is worth more than one that stands alone.
    """
    names = decisive(table, space)[:2]
    value = table["value"].to_numpy()
    across = _cells(table, names[0], space[names[0]])
    up = _cells(table, names[1], space[names[1]]) if len(names) > 1 else np.zeros(len(value), np.int64)
    shape = (_count(space[names[1]]) if len(names) > 1 else 1, _count(space[names[0]]))
    flat = up * shape[1] + across
    counts = np.bincount(flat, minlength=shape[0] * shape[1])
    sums = np.bincount(flat, value, minlength=shape[0] * shape[1])
    grid = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0).reshape(shape)
    best = int(value.argmax())
    with figure_of(6.2, 4.6, fmt) as (figure, save):
        axes = figure.subplots()
        image = axes.imshow(grid, origin="lower", aspect="auto", extent=(0, shape[1], 0, shape[0]), cmap="cividis")
        figure.colorbar(image, ax=axes, shrink=0.85)
        axes.scatter(
            [across[best] + 0.5], [up[best] + 0.5], s=110, marker="*", color=VERMILION, edgecolors="white", label="best"
        )
        for axis, name in zip((axes.xaxis, axes.yaxis), names, strict=False):
            at, told = _ticks(table, name, space[name])
            axis.set_ticks(at, told)
            axis.set_label_text(name, color=INK)
        axes.grid(visible=False)
        axes.set_title("Mean value of sets: Sharpe ratio less its error")
        return save()


def _cells(table: pl.DataFrame, name: str, searched: Searched) -> Cells:
    places = np.array([place(searched, one) for one in table[name].to_list()])
    count = _count(searched)
    cells: Cells = np.clip((places * count).astype(np.int64), 0, count - 1)
    return cells


def _count(searched: Searched) -> int:
    return _CELLS if isinstance(searched, Range) else len(searched)


def _ticks(table: pl.DataFrame, name: str, searched: Searched) -> tuple[list[float], list[str]]:
    """What lies in some of the cells."""
    cells, values = _cells(table, name, searched), table[name].to_list()
    if not isinstance(searched, Range):
        return [at + 0.5 for at in range(len(searched))], [str(one) for one in searched]
    there = np.unique(cells)
    chosen = there[np.unique(np.linspace(0, len(there) - 1, _TICKS).round().astype(int))]
    middles = [float(np.median([one for one, cell in zip(values, cells, strict=True) if cell == at])) for at in chosen]
    return [float(at) + 0.5 for at in chosen], [f"{one:.3g}" for one in middles]
