"""A rule: follow a trend that has just begun and is not exhausted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.features.framework.bars import ema_memory
from trading_assets.features.framework.windows import ewma, ewma_memory, ratio, shift

_ROUNDING = 1e-9  # means closer together than this share of their size are equal


@dataclass(frozen=True, slots=True)
class EmaCrossRsi:
    """Long where the fast mean crosses above the slow one and is not overbought; short the other way round."""

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    source: ClassVar[str] = "Brock, Lakonishok and LeBaron (1992); Wilder (1978)"

    fast: int = 12
    slow: int = 26
    rsi: int = 14
    overbought: float = 70.0
    oversold: float = 30.0

    def __post_init__(self) -> None:
        if not (1 <= self.fast < self.slow and self.rsi >= 2 and 0 <= self.oversold < self.overbought <= 100):
            raise SettingsError(f"{self} cannot be", remedy="1 <= fast < slow, rsi >= 2, oversold < overbought <= 100")

    @property
    def lookback_bars(self) -> int:
        """The longer memory of mean and index, and the bar before."""
        return max(ema_memory(self.slow), ewma_memory(1 / self.rsi) + 1) + 1

    @property
    def parameters(self) -> Mapping[str, float]:
        """Its fields."""
        return asdict(self)

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 where the trend turns up, -1 where it turns down, else 0."""
        close = bars["close"].to_numpy().astype(np.float64)
        fast, slow = (ewma(close, 2 / (length + 1), ema_memory(length)) for length in (self.fast, self.slow))
        above, below = fast > slow * (1 + _ROUNDING), fast < slow * (1 - _ROUNDING)
        change = close - shift(close, 1)
        gain, loss = (ewma(np.maximum(sign * change, 0), 1 / self.rsi) for sign in (1, -1))
        index = 100 * ratio(gain, gain + loss, 0.5)
        long = above & ~np.roll(above, 1) & (index < self.overbought)
        short = below & ~np.roll(below, 1) & (index > self.oversold)
        sides = long.astype(np.int8) - short.astype(np.int8)
        sides[: self.lookback_bars - 1] = 0
        return pl.Series("side", sides, dtype=pl.Int8)
