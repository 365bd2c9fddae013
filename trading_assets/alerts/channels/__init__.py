"""Ways to send an alert: one file and one registration each; importing this registers those of the project."""

from trading_assets.alerts.channels import by_apprise
from trading_assets.alerts.channels.contract import Channel, Message, Prepares, SendError
from trading_assets.alerts.channels.registry import channel_of, known_channels, register

__all__ = ["Channel", "Message", "Prepares", "SendError", "by_apprise", "channel_of", "known_channels", "register"]
