"""The newest feature row of many markets in one call.

A feature's value depends on its look-back alone, so the markets' newest bars are laid end to end and computed at once:
the rows in which one market's bars would meet another's are not read. What costs time for each call of a feature is
paid once instead of once for each market.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from trading_assets.core.errors import InvalidFrame
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework import computation
from trading_assets.features.framework.auxiliary_series import join
from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.feature_set import FeatureSet
from trading_assets.features.framework.windows import Array

type Companions = Mapping[str, pl.DataFrame]


def compute_newest(
    held: Sequence[pl.DataFrame], features: FeatureSet, companions: Sequence[Companions] | None = None
) -> pl.DataFrame:
    """Compute the newest row of each frame; see :func:`trading_assets.features.compute_newest`."""
    given = companions or [{}] * len(held)
    joined = [join(bars, others) for bars, others in zip(held, given, strict=True)]
    if len(held) == 1 or len({frozenset(one) for one in joined}) > 1:
        rows = [computation.compute(bars, features, others).tail(1) for bars, others in zip(held, given, strict=True)]
        return pl.concat(rows)
    plan = features.planned(computation.Plan, frozenset(joined[0]))
    columns = [computation.arrays(bars, features.timeframe) for bars in held]
    for bars in held:
        if bars.height < plan.lookback:
            raise InvalidFrame(
                f"{bars.height:,} bars, the look-back is {plan.lookback:,}",
                where=str(bars["market"].first()),
                remedy="give as many as features.lookback_bars says",
            )
    values = np.empty((len(features.features), len(held)))
    with np.errstate(all="ignore"):
        for reach, members in plan.groups:
            frame = _end_to_end(columns, joined, reach, features.timeframe)
            for calculation, positions in members:
                for position, array in zip(positions, calculation.values(frame), strict=True):
                    if position is not None:
                        values[position] = array[reach - 1 :: reach]
    return computation.framed(_newest_keys(held), features, values, plan)


def _newest_keys(held: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The keys of each frame's last row; picked one by one, as each query of a frame waits for another thread."""
    return pl.DataFrame(
        {name: [bars[name][-1] for bars in held] for name in computation.KEYS},
        schema={name: held[0][name].dtype for name in computation.KEYS},
    )


def _end_to_end(
    columns: Sequence[Sequence[Array]], joined: Sequence[Mapping[str, Array]], reach: int, timeframe: Timeframe
) -> Bars:
    """The newest ``reach`` bars of each market, one market after the other."""
    stacked = [np.concatenate([one[-reach:] for one in column]) for column in zip(*columns, strict=True)]
    companions = {name: np.concatenate([one[name][-reach:] for one in joined]) for name in joined[0]}
    return Bars(*stacked, timeframe=timeframe, companions=companions, wanted=(len(columns) - 1) * reach + 1)
