"""Where the node's parts are put together, each from those that stand before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nautilus_trader.live import LiveNode
from nautilus_trader.model import InstrumentId

from trading_assets.core.errors import NodeError
from trading_assets.journal import BufferedJournal
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host import StrategyHost
from trading_assets.strategies.host_config import HostConfig
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import Signal, Stream
from trading_live.execution.contract import Execution
from trading_live.execution.recovery import Recovered
from trading_live.node.bars.fatal_requests import FatalRequests
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.reach import bars_to_hold
from trading_live.node.decisions.shadow import ShadowDecisions
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.decisions.steps import PriceSteps
from trading_live.node.engine import build_engine
from trading_live.node.history_loader import HistoryLoader
from trading_live.node.journal.feature_rows import FeatureRows
from trading_live.node.journal.pulse import Pulse
from trading_live.node.journal.strategy_journal import StrategyJournal
from trading_live.node.shutdown import Shutdown
from trading_live.node.supervisor import Hooks, Supervisor
from trading_live.operations import kill_switch
from trading_live.venues.contract import Glance, Venue

_GATHER: Final = timedelta(milliseconds=10)
"""So long a decision waits for other markets' bars of the same close; what comes during a pass makes the next one."""

OnDecision = Callable[[Signal, str], None]


@dataclass(frozen=True, slots=True)
class Process:
    """What lives as long as the process, whatever becomes of its engines.

    Attributes
    ----------
    settings
        Everything.
    venue, execution
        Where bars come from, and who fills orders.
    journal, pulse
        What happened, and what is said of it.
    models, challengers
        In use: what trades, and what decides in shadow.
    fatal
        Requests for history that a process before died of.
    stop
        Ends the engine; an error is why.
    on_decision
        Called with each signal and its action when the journal has it.
    close_only
        Whether to close what is open and then to end.
    """

    settings: Settings
    venue: Venue
    execution: Execution
    journal: BufferedJournal
    pulse: Pulse
    models: DeployedModels
    challengers: Challengers
    fatal: FatalRequests
    stop: Callable[[NodeError | None], None]
    on_decision: OnDecision | None
    close_only: bool


@dataclass(frozen=True, slots=True)
class Assembled:
    """An engine with the strategy in it; nothing connects yet."""

    engine: LiveNode
    strategy: StrategyHost


def assemble(process: Process, streams: Sequence[Stream], recovered: Recovered, glance: Glance) -> Assembled:
    """Put an engine and its parts together.

    Parameters
    ----------
    process
        What the parts stand on.
    streams
        What is decided on, or read beside it.
    recovered
        What was open before.
    glance
        What the venue said before.
    """
    settings, venue, pulse = process.settings, process.venue, process.pulse
    markets = list(dict.fromkeys(stream.market for stream in streams))
    instruments = {market: InstrumentId.from_str(venue.instrument_id(market)) for market in markets}
    engine = build_engine(settings, venue, process.execution, instruments, recovered)
    gate = RiskGate(settings.trading.risk, markets=len(markets))
    recovered.restore(gate)
    feed = FeedQuarantine(settings.node.feed, venue.clock(), pulse.warn, time.monotonic)
    loader = HistoryLoader(feed, pulse.tell, process.fatal, historic=venue.historic)
    keep = timedelta(days=settings.node.keep_feature_rows_days)
    rows = FeatureRows(process.journal, keep=keep) if settings.node.journal_features else None
    journal = StrategyJournal(process.journal, market_time=glance.now)
    shadow = ShadowDecisions(
        process.challengers,
        journal.keep_all,
        journal_trouble=lambda: process.journal.trouble,
        cost_bps=settings.trading.costs.round_trip_bps,
        steps=PriceSteps(settings.event_times, settings.quality.level_step.min_factor),
    )
    signals = LiveSignals(
        bars_to_hold(streams, settings, process.models, process.challengers.look_backs()),
        process.models,
        loader.missing,
        cost_bps=settings.trading.costs.round_trip_bps,
        events=settings.event_times,
        min_step=settings.quality.level_step.min_factor,
        on_decided=None if rows is None else rows.add,
        shadow=shadow,
    )
    strategy = StrategyHost(
        _host_config(settings, venue, streams),
        signals,
        journal,
        gate,
        instruments=instruments,
        plans=recovered.plans,
        entry_veto=EntryVeto(settings, feed, historic=venue.historic),
        leader_of=process.models.leader_of,
        feed=feed,
    )
    strategy.on_decision = process.on_decision
    journal.follow(strategy)
    shadow.follow(strategy)
    supervisor = Supervisor(
        instruments,
        strategy,
        signals,
        loader,
        process.models,
        process.challengers,
        feed,
        Shutdown(settings.live_dir, strategy, pulse.tell, close_only=process.close_only),
        Hooks(pulse.tell, pulse.beat, process.stop),
        max_step_pct=settings.node.feed.max_step_pct,
        poll=timedelta(seconds=settings.node.poll_deployment_s),
        reloads=venue.reloads_instruments,
    )
    pulse.run_with(strategy, signals, feed, rows)
    engine.add_actor(supervisor)
    engine.add_strategy(strategy)
    strategy.set_external_order_instrument_ids(list(instruments.values()))  # what is recovered is the strategy's
    return Assembled(engine, strategy)


def _host_config(settings: Settings, venue: Venue, streams: Sequence[Stream]) -> HostConfig:
    timeframes: dict[str, list[str]] = {}
    for market, timeframe in streams:
        timeframes.setdefault(market, []).append(timeframe)
    return HostConfig(
        markets=tuple(timeframes),
        timeframes=timeframes,
        position_share=settings.trading.sizing.position_share,
        kelly_fraction=settings.trading.sizing.kelly_fraction,
        max_volume_share=settings.trading.sizing.max_volume_share,
        taker_fee_bps=settings.trading.costs.market_order_bps,
        execution_timeframe=venue.finest_timeframe(list(timeframes)),
        await_execution_bar=not venue.finer_bars_first,
        gather=_GATHER if len(streams) > 1 else None,
        listen_on_start=False,
    )


class EntryVeto:
    """Asked before each entry; a text refuses it.

    Parameters
    ----------
    settings
        The node's folder, and how late a bar may be.
    feed
        Which markets' bars can be believed.
    historic
        Whether bars carry times of the past, so that none is late.
    """

    def __init__(self, settings: Settings, feed: FeedQuarantine, *, historic: bool) -> None:
        self._settings = settings
        self._feed = feed
        self._historic = historic

    def __call__(self, signal: Signal) -> str | None:
        """Why nothing may be entered now."""
        if kill_switch.engaged(self._settings.live_dir):
            return "the kill switch is on"
        if (why := self._feed.refusal(signal.market)) is not None:
            return f"the feed is not trusted: {why}"
        return None if self._historic else too_late(signal.known_at, datetime.now(UTC), self._settings.node)


def too_late(known_at: datetime, now: datetime, settings: NodeSettings) -> str | None:
    """Why a bar is too old to enter on: it was held up on the way, or this machine slept."""
    delay = (now - known_at).total_seconds()
    if delay <= settings.max_decision_delay_s:
        return None
    return f"the bar came {delay:,.0f} s late by this clock, limit {settings.max_decision_delay_s:g} s"
