"""The local exchange as a venue for orders: matching on the replayed candles, an account, two protocols."""

from trading_live.replay.orders.account import AccountView
from trading_live.replay.orders.exchange.model import Terms
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET

__all__ = ["REHEARSAL_KEY", "REHEARSAL_SECRET", "AccountView", "Terms"]
