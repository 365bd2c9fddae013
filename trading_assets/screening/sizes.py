"""How large positions are: the share of equity, known for each market, side and bar before any set has traded."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.core.sides import Side
from trading_assets.screening.world import Scene
from trading_assets.settings import (
    BacktestSettings,
    EquityShareSettings,
    RiskPerTradeSettings,
    SizingSettings,
    VolatilityTargetSettings,
)
from trading_assets.strategies.risk.closes import LEAST_RETURNS

Floats = npt.NDArray[np.float64]

_MICROSECOND: Final = timedelta(microseconds=1)
_YEAR: Final = timedelta(days=365) // _MICROSECOND
_LEAST_SPAN: Final = 0.5


def stakes(scene: Scene, settings: BacktestSettings, stops: Floats) -> Floats:
    """The share of equity that a position is to be: markets x sides x bars of the grid, as far as they differ.

    A sizing that goes by a probability or by what else a signal says, as Kelly's does, gives its largest position: a
    rule's signals have no probability here.

    Parameters
    ----------
    stops
        Distance of the stop at each market and bar, as a fraction of the price.
    """
    sizing: SizingSettings = settings.sizing
    if isinstance(sizing, EquityShareSettings):
        return np.full((len(scene.markets), 1, 1), sizing.position_share)
    if isinstance(sizing, RiskPerTradeSettings):
        cost = settings.of_markets(scene.markets).market_order_bps / 1e4
        shares = np.stack([sizing.risk / (stops + cost * (2 - side * stops)) for side in Side], axis=1)
    elif isinstance(sizing, VolatilityTargetSettings):
        moved = np.stack([_volatility(scene, market, sizing.window) for market in range(len(scene.markets))])
        shares = (sizing.annual_volatility / moved)[:, None, :]
    else:
        return np.full((len(scene.markets), 1, 1), sizing.most)
    return np.nan_to_num(np.minimum(shares, sizing.most), nan=0.0)


def _volatility(scene: Scene, market: int, window: timedelta) -> Floats:
    """The market's volatility a year at each bar of the grid; NaN where too little is known.

    As :func:`trading_assets.strategies.risk.closes.realised_volatility` says it, for all bars at once.
    """
    rows, found = scene.rows[market], np.full(scene.width, np.nan)
    known, close = scene.world.known[rows], scene.world.close[market, rows]
    squares = np.concatenate([[0.0], np.cumsum(np.diff(np.log(close)) ** 2)])
    first = np.searchsorted(known, known - window // _MICROSECOND)
    span, count = known - known[first], np.arange(len(known)) - first
    enough = (count >= LEAST_RETURNS) & (span >= _LEAST_SPAN * (window // _MICROSECOND))
    summed = (squares - squares[first])[enough]
    found[rows[enough]] = np.sqrt(summed / (span[enough] / _YEAR))
    found[found <= 0] = np.nan
    return found
