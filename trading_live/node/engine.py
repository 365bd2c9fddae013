"""The engine: NautilusTrader's live node with the venue's data client, the sandbox, and what the journal holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from nautilus_trader.common import Environment, FileWriterConfig, LoggerConfig, LogLevel
from nautilus_trader.live import LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import AccountId, InstrumentId, TraderId

from trading_assets.core.candles import timeframe_minutes
from trading_assets.core.errors import NodeError
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.risk.gate import engine_order_rate
from trading_live.execution.reconciliation import NAME as LEDGER
from trading_live.execution.reconciliation import ledger_factory
from trading_live.execution.recovery import Recovered
from trading_live.venues.adapters import data_client, execution_client, quote_currencies
from trading_live.venues.clock import replay_http, replay_ws

_TRADER: Final = "TRADER-001"
_STOP_S: Final = 1
_NO_GOODBYE: Final = "disconnect"
_UNREACHABLE: Final = re.compile(r"-connect timeout|readiness timeout")


class VenueUnreachable(NodeError):
    """The venue does not answer: another attempt may find it well again."""


def build_engine(
    settings: Settings,
    markets: Sequence[str],
    instruments: Mapping[str, InstrumentId],
    recovered: Recovered,
) -> LiveNode:
    """Build the engine; nothing connects yet.

    Parameters
    ----------
    settings
        Venue, environment, costs and starting balance; what was realised in the session is added to the balance.
    markets, instruments
        What is traded.
    recovered
        Open positions are told to the engine by reconciliation, the way a real venue would.
    """
    realized = recovered.realized or {}
    balances = {code: settings.node.starting_balance + realized.get(code, 0.0) for code in quote_currencies(markets)}
    account = AccountId(f"{settings.node.venue.upper()}-001")
    data = data_client(addressed(settings), markets)
    sandbox = execution_client(settings.node, settings.simulation, balances, account=account.value)
    builder = (
        LiveNode.builder("TRADING", TraderId(_TRADER), Environment.SANDBOX)
        .with_logging(engine_logging(settings, "engine"))
        .with_timeout_connection(settings.node.connect_timeout_s)
        .with_timeout_disconnection_secs(_STOP_S)
        .with_delay_post_stop_secs(_STOP_S)
        .with_reconciliation(bool(recovered.holdings))
        .with_risk_engine_config(LiveRiskEngineConfig(max_order_submit_rate=engine_order_rate(len(markets))))
        .add_data_client(None, data.factory, data.config)
        .add_simulated_exec_client(None, sandbox.factory, sandbox.config)
    )
    if recovered.holdings:
        factory, config = ledger_factory(recovered.holdings, instruments, account)
        builder = builder.add_exec_client(LEDGER, factory, config)
    return builder.build()


def execution_timeframe(settings: Settings, markets: Sequence[str]) -> str:
    """The finest bars that all markets have: a replay knows only what is stored."""
    if settings.node.environment != "replay":
        return "1m"
    stored = [settings.markets[market].timeframe for market in markets if market in settings.markets]
    return max(stored, key=timeframe_minutes, default="1m")


def addressed(settings: Settings) -> NodeSettings:
    """The node's settings; in a replay with the local exchange's addresses."""
    if settings.node.environment != "replay":
        return settings.node
    return settings.node.model_copy(update={"base_url_http": replay_http(settings), "base_url_ws": replay_ws(settings)})


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
    """Warnings of the engine on the terminal, more in a rotated file of that name beside our own logs."""
    levels = {"DEBUG": LogLevel.INFO, "INFO": LogLevel.WARNING, "WARNING": LogLevel.WARNING, "ERROR": LogLevel.ERROR}
    return LoggerConfig(
        stdout_level=levels[settings.logs.level],
        fileout_level=LogLevel.INFO,
        is_colored=sys.stdout.isatty(),
        file_config=FileWriterConfig(
            directory=str(settings.data_dir / "logs"),
            file_name=name,
            file_format="json",
            file_rotate=(10_000_000, 5),
        ),
    )
