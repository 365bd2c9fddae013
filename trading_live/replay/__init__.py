"""The local exchange: speaks Binance USD-M's market-data protocol and replays stored candles."""

from trading_live.replay.open import open_replay, serve
from trading_live.replay.server import Progress, ReplayServer
from trading_live.replay.tape import Tape, read_tape

__all__ = ["Progress", "ReplayServer", "Tape", "open_replay", "read_tape", "serve"]
