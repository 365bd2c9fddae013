"""What an order at the market slips, point in time: from decision bars and recorded order books. No engine is imported.

References
----------
S. A. Corwin, P. Schultz, "A Simple Way to Estimate Bid-Ask Spreads from Daily High and Low Prices", *Journal of
Finance* 67, 2012. B. Tóth et al., "Anomalous Price Impact and the Critical Nature of Liquidity in Financial Markets",
*Physical Review X* 1, 2011: the square root with a factor near one. R. Almgren et al., "Direct Estimation of Equity
Market Impact", *Risk* 18, 2005, finds a power of 0.6 of the same share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import numpy as np
import polars as pl

from trading_assets.settings.sections.slippage import (
    ImpactSlippageSettings,
    MeasuredSlippageSettings,
    SlippageSettings,
    SpreadSlippageSettings,
)

_BOOK_AGE: Final = timedelta(hours=1)
"""A recorded book says nothing of a market later than so long after it."""


def corwin_schultz(bars: pl.DataFrame) -> pl.Series:
    """The spread of each bar and the one before, as a fraction of the price; 0 where the estimate is negative.

    Parameters
    ----------
    bars
        ``high`` and ``low`` of one market, ascending.
    """
    ranges = (pl.col("high") / pl.col("low")).log() ** 2
    beta = ranges + ranges.shift(1)
    both = pl.max_horizontal("high", pl.col("high").shift(1)) / pl.min_horizontal("low", pl.col("low").shift(1))
    root = 3 - 2 * math.sqrt(2)
    alpha = ((2 * beta).sqrt() - beta.sqrt()) / root - (both.log() ** 2 / root).sqrt()
    spread = 2 * (alpha.exp() - 1) / (1 + alpha.exp())
    return bars.select(spread.clip(lower_bound=0).alias("spread"))["spread"]


class Slippage:
    """Basis points that an order at the market loses, by what was known when it was sent.

    Parameters
    ----------
    settings
        The model.
    fixed_bps
        What is lost at least of the model ``impact``, and wherever nothing is known yet.
    bars
        Market -> its decision bars: ``known_at`` (or ``at``), ``high``, ``low``, ``close``, ``volume``, ascending.
    books
        Market -> recorded best prices: ``known_at``, ``bid``, ``ask``, ascending.
    """

    def __init__(
        self,
        settings: SlippageSettings,
        fixed_bps: float,
        bars: Mapping[str, pl.DataFrame],
        books: Mapping[str, pl.DataFrame] = MappingProxyType({}),
    ) -> None:
        self._fixed = fixed_bps
        self._model = settings
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._books: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        if isinstance(settings, MeasuredSlippageSettings):
            for market, frame in bars.items():
                self._known[market] = _times(frame["known_at"]), _measured(frame, settings).to_numpy()
        if isinstance(settings, SpreadSlippageSettings):
            for market, frame in books.items():
                half = frame.select((pl.col("ask") - pl.col("bid")) / (pl.col("ask") + pl.col("bid")) * 1e4)
                self._books[market] = _times(frame["known_at"]), half.to_series().to_numpy()

    def bps(self, market: str, at: datetime, quantity: float) -> float:
        """What an order of a quantity loses that is sent at an instant.

        Parameters
        ----------
        quantity
            Base units.
        """
        if not isinstance(self._model, MeasuredSlippageSettings):
            return self._fixed
        found = self._newest(self._books, market, at, _BOOK_AGE)
        if found is None:
            found = self._newest(self._known, market, at, None)
        if found is None or not math.isfinite(found):
            return self._fixed
        if isinstance(self._model, ImpactSlippageSettings):
            return self._fixed + self._model.scale * found * math.sqrt(quantity)
        return self._model.scale * found

    @staticmethod
    def _newest(
        known: Mapping[str, tuple[np.ndarray, np.ndarray]], market: str, at: datetime, age: timedelta | None
    ) -> float | None:
        if market not in known:
            return None
        times, values = known[market]
        now = np.datetime64(at.replace(tzinfo=None), "us")
        place = int(np.searchsorted(times, now, side="right")) - 1
        if place < 0 or (age is not None and now - times[place] > np.timedelta64(age)):
            return None
        return float(values[place])


def _measured(bars: pl.DataFrame, settings: MeasuredSlippageSettings) -> pl.Series:
    """Half the spread in basis points; of the impact, basis points of one unit traded: times the root of a quantity."""
    if isinstance(settings, SpreadSlippageSettings):
        return corwin_schultz(bars).rolling_mean(settings.bars) / 2 * 1e4
    moves, volume = bars["close"].log().diff().rolling_std(settings.bars), bars["volume"].rolling_mean(settings.bars)
    return moves / volume.sqrt() * 1e4


def _times(known_at: pl.Series) -> np.ndarray:
    return known_at.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()
