"""Bars of a higher timeframe, built from those of a frame."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from trading_assets.features.framework.windows import Array

if TYPE_CHECKING:
    from trading_assets.features.framework.bars import Bars


class Higher:
    """Bars of a higher timeframe, built from those of a frame; missing ones leave shorter or no bars.

    Attributes
    ----------
    open, high, low, close
        One value per higher bar, whether closed or not.
    """

    def __init__(self, frame: Bars, bars: int) -> None:
        bar = frame.timeframe.micros
        length = bars * bar
        group = frame.ts // length
        begins = np.empty(len(group), dtype=np.bool_)
        begins[:1] = True
        np.not_equal(group[1:], group[:-1], out=begins[1:])
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(group)) - 1
        self.open = frame.open[first]
        self.high = np.maximum.reduceat(frame.high, first) if len(first) else frame.high
        self.low = np.minimum.reduceat(frame.low, first) if len(first) else frame.low
        self.close = frame.close[last]
        self._closed = np.cumsum(begins) - 1 - ((frame.ts + bar) % length != 0)
        for prices in (self.open, self.high, self.low, self.close):
            prices.setflags(write=False)

    def __len__(self) -> int:
        return len(self._closed)

    def __getitem__(self, newest: slice) -> Higher:
        """The same higher bars, as they are known at some of the bars."""
        part = copy(self)
        part._closed = self._closed[newest]
        return part

    def known(self, values: Array) -> Array:
        """Of one value per higher bar, that of the newest one that is closed when each bar is; NaN before the first."""
        with_none = np.empty(len(values) + 1)
        with_none[:-1], with_none[-1] = values, np.nan
        known: Array = with_none[self._closed]
        return known
