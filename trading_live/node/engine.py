"""The engine: NautilusTrader's live node with the venue's data client, the sandbox, and what the journal holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from nautilus_trader.common import FileWriterConfig, LoggerConfig, LogLevel
from nautilus_trader.live import LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import InstrumentId, TraderId

from trading_assets.core.errors import NodeError
from trading_assets.settings import Settings
from trading_assets.strategies.risk.gate import engine_order_rate
from trading_live.execution.contract import Execution
from trading_live.recovery.from_journal import Recovered
from trading_live.venues.contract import Venue

KEPT_LOGS: Final = 20
"""Files of an engine's log, its own rotated ones included."""

_LOG_BYTES: Final = 10_000_000
_ROTATED: Final = 5
_TRADER: Final = "TRADER-001"
_STOP_S: Final = 1
_NO_GOODBYE: Final = "disconnect"
_UNREACHABLE: Final = re.compile(r"-connect timeout|readiness timeout")


class VenueUnreachable(NodeError):
    """The venue does not answer: another attempt may find it well again."""


def build_engine(
    settings: Settings,
    venue: Venue,
    execution: Execution,
    instruments: Mapping[str, InstrumentId],
    recovered: Recovered,
) -> LiveNode:
    """Build the engine; nothing connects yet.

    Parameters
    ----------
    settings
        Time limits and logs.
    venue, execution
        Where bars come from, and who fills orders.
    instruments
        Market -> what it is traded as.
    recovered
        What was open before.
    """
    markets = list(instruments)
    data = venue.data_client(markets)
    builder = (
        LiveNode.builder("TRADING", TraderId(_TRADER), execution.environment)
        .with_logging(engine_logging(settings, "engine"))
        .with_timeout_connection(settings.node.connect_timeout_s)
        .with_timeout_disconnection_secs(execution.goodbye_s)
        .with_delay_post_stop_secs(_STOP_S)
        .with_risk_engine_config(LiveRiskEngineConfig(max_order_submit_rate=engine_order_rate(len(markets))))
        .add_data_client(None, data.factory, data.config)
    )
    node: LiveNode = execution.join(builder, instruments, recovered).build()
    return node


def explain(error: RuntimeError, place: str, connect_timeout_s: int) -> NodeError | None:
    """What ended the engine, in plain words; ``place`` is the venue or its address.

    None where the engine had stopped and only the venue's goodbye did not come in time.
    """
    text = " ".join(str(error).split())
    if _NO_GOODBYE in text:
        return None
    if _UNREACHABLE.search(text):
        return VenueUnreachable(
            f"the venue did not answer within {connect_timeout_s} s",
            where=place,
            remedy="check the network and node.base_url_http; for the local exchange, start trading replay first",
        )
    return NodeError(f"the engine stopped: {text}", where="node", remedy="see data/logs")


def engine_logging(settings: Settings, name: str) -> LoggerConfig:
    """Warnings of the engine on the terminal, more in rotated files of that name beside our own logs.

    Each engine begins a file of its own, and rotation knows of that engine's alone: those of engines before are kept
    up to :data:`KEPT_LOGS` of a name.
    """
    folder = settings.data_dir / "logs"
    remove_old_logs(folder, name, KEPT_LOGS - _ROTATED - 1)
    levels = {"DEBUG": LogLevel.INFO, "INFO": LogLevel.WARNING, "WARNING": LogLevel.WARNING, "ERROR": LogLevel.ERROR}
    return LoggerConfig(
        stdout_level=levels[settings.logs.level],
        fileout_level=LogLevel.INFO,
        is_colored=sys.stdout.isatty(),
        file_config=FileWriterConfig(
            directory=str(folder),
            file_name=name,
            file_format="json",
            file_rotate=(_LOG_BYTES, _ROTATED),
        ),
    )


def remove_old_logs(folder: Path, name: str, keep: int) -> None:
    """Remove all but the newest files of former engines of a name."""
    files = [(file.stat().st_mtime_ns, file) for file in folder.glob(f"{name}_*.json*")]
    for _, file in sorted(files)[: max(len(files) - keep, 0)]:
        with suppress(OSError):  # a log that stays is no reason not to start
            file.unlink()
