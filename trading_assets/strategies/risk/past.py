"""How much of the past of prices sizes and limits ask for. Imports no engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import RiskSettings, SizingSettings
from trading_assets.strategies.sizing import sizing_of

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


def past_needed(sizing: SizingSettings, risk: RiskSettings, timeframe: Timeframe) -> timedelta:
    """How far before a decision the closes reach that it may ask for; nothing where neither size nor limit does.

    Parameters
    ----------
    sizing, risk
        Of ``trading``.
    timeframe
        Of the coarsest bars that are decided on.
    """
    size = sizing_of(sizing).look_back
    if risk.max_correlated_leverage is None:
        return size
    steps = 2 * max(timeframe.length, _HOUR)
    return max(size, timedelta(days=risk.correlation_days) + _DAY + steps)


def bars_needed(sizing: SizingSettings, risk: RiskSettings, timeframe: Timeframe, coarsest: Timeframe) -> int:
    """The same in bars of a timeframe, where others may be coarser."""
    return -(-past_needed(sizing, risk, coarsest) // timeframe.length)
