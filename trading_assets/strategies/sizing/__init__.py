"""How large a position is: one file and one registration for each way to say it."""

from trading_assets.strategies.sizing import equity_share, kelly, risk_per_trade, volatility_target
from trading_assets.strategies.sizing.base import Sizing, Stake
from trading_assets.strategies.sizing.registry import register, registered, sizing_of

__all__ = [
    "Sizing",
    "Stake",
    "equity_share",
    "kelly",
    "register",
    "registered",
    "risk_per_trade",
    "sizing_of",
    "volatility_target",
]
