"""The exchange without its wire: orders matched on candles, margin, and the account's ledger. No I/O, no clock."""

from trading_live.replay.orders.exchange.state import Exchange

__all__ = ["Exchange"]
