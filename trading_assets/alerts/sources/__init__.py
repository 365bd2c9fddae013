"""Where alerts come from when nobody sends them: one file and one registration each; importing this registers them."""

from trading_assets.alerts.sources import heartbeat
from trading_assets.alerts.sources.contract import Looked, Source
from trading_assets.alerts.sources.looking import endings, look
from trading_assets.alerts.sources.registry import known_sources, register, sources_of

__all__ = ["Looked", "Source", "endings", "heartbeat", "known_sources", "look", "register", "sources_of"]
