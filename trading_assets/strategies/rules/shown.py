"""What a rule is shown, as the indicators of the features take it: one code path for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.candles import OHLCV
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.bars import Bars

_ANY = Timeframe(1)
"""A rule counts in bars, so that it need not know how long they are: indicators with windows in time are not for it."""


_SHARED: Final[dict[int, tuple[pl.DataFrame, Bars]]] = {}
"""By identity: the frames that many rules are shown, which are kept as long as their number stands for them."""


@contextmanager
def shared(bars: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Within the block, all rules that are shown these very bars share what ``Bars.once`` computes of them.

    So ten thousand sets of parameters cost as many indicators as there are values of a parameter, by the rule's own
    code.
    """
    _SHARED[id(bars)] = (bars, _columns(bars))
    try:
        yield bars
    finally:
        del _SHARED[id(bars)]


def shown(bars: pl.DataFrame) -> Bars:
    """The columns that a rule declares; the others are NaN, and so is every indicator that reads them."""
    known = _SHARED.get(id(bars))
    return _columns(bars) if known is None else known[1]


def _columns(bars: pl.DataFrame) -> Bars:
    missing = np.full(bars.height, np.nan)
    columns = {name: bars[name].cast(pl.Float64).to_numpy() if name in bars.columns else missing for name in OHLCV}
    ts = bars["ts"].to_physical().to_numpy()
    return Bars(ts, *columns.values(), timeframe=_ANY)


def wanted(long: np.ndarray, short: np.ndarray, *, lookback_bars: int) -> pl.Series:
    """1 where ``long`` holds, -1 where ``short`` does, 0 elsewhere and before the look-back is there (Int8)."""
    sides = long.astype(np.int8) - short.astype(np.int8)
    sides[: lookback_bars - 1] = 0
    return pl.Series("side", sides, dtype=pl.Int8)
