"""The local exchange: speaks Binance's and Bybit's protocols and replays stored candles, with faults on demand."""

from trading_live.replay.faults import Fault, Faults
from trading_live.replay.open import open_replay, serve
from trading_live.replay.player import Progress
from trading_live.replay.server import ReplayServer
from trading_live.replay.tape import Tape, read_tape

__all__ = ["Fault", "Faults", "Progress", "ReplayServer", "Tape", "open_replay", "read_tape", "serve"]
