"""Rules: strategies that a person can write down, one file each."""

from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules import donchian, ema_cross_rsi, grid, macd_bollinger, mean_reversion, momentum
from trading_assets.strategies.rules.registry import register, registered, rule_of
from trading_assets.strategies.rules.shown import shown, wanted

__all__ = [
    "Rule",
    "donchian",
    "ema_cross_rsi",
    "grid",
    "macd_bollinger",
    "mean_reversion",
    "momentum",
    "register",
    "registered",
    "rule_of",
    "shown",
    "wanted",
]
