"""Rules: strategies that a person can write down, one file each."""

from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules import ema_cross_rsi
from trading_assets.strategies.rules.registry import register, registered, rule_of

__all__ = ["Rule", "ema_cross_rsi", "register", "registered", "rule_of"]
