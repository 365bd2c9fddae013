"""The newest feature row of many markets in one call.

A feature's value depends on its look-back alone, so the markets' newest bars are laid end to end and computed at once:
the rows in which one market's bars would meet another's are not read. What costs time for each call of a feature is
paid once instead of once for each market.

A row stays an array until somebody asks for a frame: to make one takes as long as fifty features, and another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import InvalidFrame
from trading_assets.features.framework import computation
from trading_assets.features.framework.auxiliary_series import join
from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.feature_set import FeatureSet
from trading_assets.features.framework.windows import Array

type Companions = Mapping[str, pl.DataFrame]
type Columns = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class FeatureRow:
    """The features of one bar.

    Attributes
    ----------
    names
        Of the features.
    numbers
        One for each; NaN where it is null.
    make_frame
        Gives the row as :func:`trading_assets.features.compute` does.
    """

    names: tuple[str, ...]
    numbers: Array
    make_frame: Callable[[], pl.DataFrame]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """``market, ts, known_at`` and the features, one row."""
        return self.make_frame()

    def of(self, names: tuple[str, ...]) -> Array:
        """The numbers of some features, in the order given.

        Raises
        ------
        InvalidFrame
            Some are not there.
        """
        return self.numbers if names == self.names else self.numbers[_places(self.names, names)]

    @classmethod
    def of_frame(cls, row: pl.DataFrame) -> Self:
        """A row that is a frame already."""
        every = dict(zip(row.columns, row.row(0), strict=True))
        names = tuple(name for name in every if name not in computation.KEYS)
        numbers = np.array([every[name] for name in names], dtype=np.float64)  # None is NaN
        return cls(names, numbers, lambda: row)


@lru_cache
def _places(known: tuple[str, ...], names: tuple[str, ...]) -> npt.NDArray[np.intp]:
    place = {name: number for number, name in enumerate(known)}
    if missing := [name for name in names if name not in place]:
        raise InvalidFrame(
            f"the row lacks the features {', '.join(missing[:5])}{' ...' if missing[5:] else ''}",
            remedy="compute features with the code that the model was trained with",
        )
    return np.array([place[name] for name in names], dtype=np.intp)


def compute_newest(
    held: Sequence[pl.DataFrame], features: FeatureSet, companions: Sequence[Companions] | None = None
) -> list[FeatureRow]:
    """Compute the newest row of each frame; see :func:`trading_assets.features.compute_newest`."""
    given = companions or [{}] * len(held)
    newest = [bars.tail(features.lookback_bars) for bars in held]
    joined = [join(bars, others) for bars, others in zip(newest, given, strict=True)]
    columns = [computation.arrays(bars, features.timeframe) for bars in newest]
    plans = [features.planned(computation.Plan, frozenset(one)) for one in joined]
    for bars in newest:
        if bars.height < features.lookback_bars:
            raise InvalidFrame(
                f"{bars.height:,} bars, the look-back is {features.lookback_bars:,}",
                where=str(bars["market"].first()),
                remedy="give as many as features.lookback_bars says",
            )
    values = np.empty((len(held), len(features.features)))
    if len(held) > 1 and len(set(plans)) == 1:
        _fill_together(values, columns, joined, features, plans[0])
    else:
        for row, own, beside, plan in zip(values, columns, joined, plans, strict=True):
            computation.fill(row[:, np.newaxis], own, beside, features.timeframe, plan)
    rows = []
    for bars, row, plan in zip(newest, values, plans, strict=True):
        row[plan.absent] = np.nan
        rows.append(FeatureRow(features.names, row, partial(_framed, bars, features, row, plan)))
    return rows


def _framed(bars: pl.DataFrame, features: FeatureSet, numbers: Array, plan: computation.Plan) -> pl.DataFrame:
    keys = pl.DataFrame([bars[name][-1:] for name in computation.KEYS])
    return computation.framed(keys, features, numbers[:, np.newaxis], plan)


def _fill_together(
    values: Array,
    columns: Sequence[Columns],
    joined: Sequence[Mapping[str, Array]],
    features: FeatureSet,
    plan: computation.Plan,
) -> None:
    """Compute the newest row of each market, ``(markets, features)``."""
    blocks = [np.stack(column) for column in zip(*columns, strict=True)]
    beside = {name: np.stack([one[name] for one in joined]) for name in joined[0]}
    with np.errstate(all="ignore"):
        for reach, members in plan.groups:
            frame = _end_to_end(blocks, beside, reach, features)
            for calculation, positions in members:
                for position, array in zip(positions, calculation.values(frame), strict=True):
                    if position is not None:
                        values[:, position] = array[reach - 1 :: reach]


def _end_to_end(blocks: Columns, beside: Mapping[str, Array], reach: int, features: FeatureSet) -> Bars:
    """The newest ``reach`` bars of each market, one market after the other."""

    def newest(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return block[:, -reach:].reshape(-1)

    companions = {name: newest(block) for name, block in beside.items()}
    wanted = (len(blocks[0]) - 1) * reach + 1
    stacked = (newest(block) for block in blocks)
    return Bars(*stacked, timeframe=features.timeframe, companions=companions, wanted=wanted)
