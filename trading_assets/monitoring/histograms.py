"""Rows by day as counts in the reference's cells: all that drift tests see, of stored rows and of live ones alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

CELLS: Final = 100
"""Cells of equal probability in the reference; a further one counts nulls."""

Counts = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Histograms:
    """How many rows of each day fell into which cell.

    Attributes
    ----------
    names
        The subjects.
    days
        Ascending, and without holes from the first to the last: a day may have no rows.
    counts
        ``(days, subjects, CELLS + 1)``; the last cell counts nulls.
    """

    names: tuple[str, ...]
    days: tuple[date, ...]
    counts: Counts

    def windows(self, days: int) -> Self:
        """The sums over this day and those before it, ``days`` together; the first ones have fewer."""
        sums = np.cumsum(self.counts, axis=0, dtype=np.uint32)
        sums[days:] = sums[days:] - sums[:-days]
        return type(self)(self.names, self.days, sums)

    def between(self, first: date | None, last: date | None) -> Self:
        """The days from the first to the last, both inclusive; None is open."""
        kept = [n for n, day in enumerate(self.days) if (first or day) <= day <= (last or day)]
        return type(self)(self.names, tuple(self.days[n] for n in kept), self.counts[kept])

    @property
    def rows(self) -> Floats:
        """Rows of each day and subject."""
        return self.counts.sum(axis=2, dtype=np.float64)

    @property
    def ranks(self) -> Floats:
        """Mean place of each day's values in the reference, 0 to 1; NaN where there are none."""
        known = self.counts[:, :, :CELLS]
        with np.errstate(invalid="ignore"):
            return known @ ((np.arange(CELLS) + 0.5) / CELLS) / known.sum(axis=2, dtype=np.float64)


def edges_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The inner edges of cells that hold equally many of the values, ``(subjects, CELLS - 1)``.

    The last cell is for values above all of these: else a constant could go up unseen.

    Parameters
    ----------
    values
        ``(rows, subjects)``; NaN is null. A subject without values has NaN edges: all that comes falls into one cell.
    """
    if not len(values):
        return np.full((values.shape[1], CELLS - 1), np.nan, np.float32)
    ordered = np.sort(values, axis=0)  # NaN comes last
    known = (~np.isnan(values)).sum(axis=0)
    places = np.arange(1, CELLS) / CELLS
    at = np.minimum(np.ceil(places[:, np.newaxis] * known).astype(np.int64), np.maximum(known - 1, 0))
    edges = np.take_along_axis(ordered, at, axis=0)
    highest = np.take_along_axis(ordered, np.maximum(known - 1, 0)[np.newaxis], axis=0)
    edges[-1] = np.nextafter(highest, np.float32(np.inf))[0]
    return np.ascontiguousarray(edges.T)


def histograms(
    rows: pl.DataFrame, names: Sequence[str], edges: npt.NDArray[np.float32], *, day: str = "day"
) -> Histograms:
    """Count rows in cells.

    Parameters
    ----------
    rows
        A column for the day of each row (Date), and one for each subject; null and NaN are one.
    names
        The subjects, in the order of the edges.
    edges
        Of :func:`edges_of`; a value on an edge belongs to the cell above it.
    """
    if rows.is_empty():
        return Histograms(tuple(names), (), np.zeros((0, len(names), CELLS + 1), np.uint32))
    number = rows[day].to_physical().to_numpy().astype(np.int64)
    first, length = int(number.min()), int(number.max() - number.min()) + 1
    counts = np.zeros((length, len(names), CELLS + 1), np.uint32)
    for place, name in enumerate(names):
        values = rows[name].cast(pl.Float32).to_numpy()
        cells = np.searchsorted(edges[place], values, side="right")
        cells[np.isnan(values)] = CELLS
        flat = np.bincount((number - first) * (CELLS + 1) + cells, minlength=length * (CELLS + 1))
        counts[:, place] = flat.reshape(length, CELLS + 1)
    days = tuple(_EPOCH + timedelta(days=first + one) for one in range(length))
    return Histograms(tuple(names), days, counts)
