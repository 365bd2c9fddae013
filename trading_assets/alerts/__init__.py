"""Who is told when something happens: decisions (pure), their state file, and channels that send."""

from trading_assets.alerts.alert import Alert, Level
from trading_assets.alerts.decision import acknowledge, decide, settle
from trading_assets.alerts.state import AlertState, Delivery

__all__ = ["Alert", "AlertState", "Delivery", "Level", "acknowledge", "decide", "settle"]
