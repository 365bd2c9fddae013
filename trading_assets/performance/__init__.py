"""How the node did, from its journal: its closed trades, its account by the minute, and both by period."""

from trading_assets.backtest.metrics.slippage import slippage_fees
from trading_assets.performance.periods import PERIODS, by_period, daily_curve
from trading_assets.performance.trades import live_trades

__all__ = ["PERIODS", "by_period", "daily_curve", "live_trades", "slippage_fees"]
