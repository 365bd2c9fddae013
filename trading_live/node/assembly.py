"""Where the node's parts are put together, each from those that stand before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nautilus_trader.live import LiveNode
from nautilus_trader.model import InstrumentId

from trading_assets.core.errors import NodeError
from trading_assets.costs.outlook import FundingOutlook
from trading_assets.journal import BufferedJournal, NewestTrades
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host.config import HostConfig
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import Signal, Stream
from trading_live.execution.contract import NOTHING_APART, Apart, Execution
from trading_live.execution.entries import VenueEntries
from trading_live.execution.rejections import Refusals
from trading_live.metrics.choice import Metrics
from trading_live.metrics.parts import Parts
from trading_live.node.asked_balances import with_balances
from trading_live.node.auxiliary.needs import NO_NEEDS, Needs
from trading_live.node.auxiliary.opening import open_series
from trading_live.node.auxiliary.series import AuxiliarySeries
from trading_live.node.bars.fatal_requests import FatalRequests
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.reach import bars_to_hold
from trading_live.node.decisions.shadow import ShadowDecisions
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.decisions.sleeve_weights import weight_of
from trading_live.node.decisions.steps import PriceSteps
from trading_live.node.engine import build_engine
from trading_live.node.history_loader import HistoryLoader
from trading_live.node.journal.account_curve import AccountCurve
from trading_live.node.journal.feature_rows import FeatureRows
from trading_live.node.journal.pulse import Pulse
from trading_live.node.journal.strategy_journal import StrategyJournal
from trading_live.node.journal.trade_log import TradeLog
from trading_live.node.protections import NodeProtections
from trading_live.node.reconciling.engine_view import reconciler_of, turning
from trading_live.node.shutdown import Shutdown
from trading_live.node.supervisor import Hooks, Supervisor
from trading_live.operations import kill_switch
from trading_live.recovery.from_journal import Recovered
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
    journal, log, pulse, metrics
        What happened, and what is said and counted of it.
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
    log: TradeLog
    pulse: Pulse
    metrics: Metrics
    models: DeployedModels
    challengers: Challengers
    fatal: FatalRequests
    stop: Callable[[NodeError | None], None]
    on_decision: OnDecision | None
    close_only: bool


@dataclass(frozen=True, slots=True)
class Assembled:
    """An engine with the strategy in it; nothing connects yet.

    ``comparing`` is the account's, while it runs; ``protections`` and ``auxiliary`` are closed when it has ended.
    """

    engine: LiveNode
    strategy: StrategyHost
    comparing: AbstractContextManager[object]
    protections: NodeProtections
    auxiliary: AuxiliarySeries


def assemble(
    process: Process,
    streams: Sequence[Stream],
    recovered: Recovered,
    glance: Glance,
    apart: Apart = NOTHING_APART,
    needs: Needs = NO_NEEDS,
) -> Assembled:
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
    apart
        Where nothing is entered.
    needs
        What models read beside bars.
    """
    settings, venue, pulse = process.settings, process.venue, process.pulse
    markets = list(dict.fromkeys(stream.market for stream in streams))
    costs = settings.trading.costs.of_markets(markets)
    instruments = {market: InstrumentId.from_str(venue.instrument_id(market)) for market in markets}
    engine = build_engine(settings, venue, process.execution, instruments, recovered)
    gate = RiskGate(settings.trading.risk, markets=len(markets))
    recovered.restore(gate)
    feed = FeedQuarantine(settings.node.feed, venue.clock(), pulse.warn, time.monotonic)
    loader = HistoryLoader(feed, pulse.tell, process.fatal, historic=venue.historic)
    keep = timedelta(days=settings.node.keep_feature_rows_days)
    rows = FeatureRows(process.journal, keep=keep) if settings.node.journal_features else None
    protections = NodeProtections(
        settings, process.journal, pulse.tell, feed, market_time=glance.now, historic=venue.historic
    )
    auxiliary = open_series(settings, venue, needs, instruments, pulse.warn)
    journal = StrategyJournal(protections.heard(process.journal), market_time=glance.now)
    compared = reconciler_of(settings, [one for one in markets if one not in apart.foreign], process.journal, pulse)
    shadow = ShadowDecisions(
        process.challengers,
        journal.keep_all,
        journal_trouble=lambda: process.journal.trouble,
        cost_bps=costs.round_trip_bps,
        outlook=FundingOutlook(costs.assumed_funding_bps),
        steps=PriceSteps(settings.event_times, settings.quality.level_step.min_factor),
    )
    signals = LiveSignals(
        bars_to_hold(streams, settings, process.models, process.challengers.look_backs()),
        process.models,
        loader.missing,
        cost_bps=costs.round_trip_bps,
        slippage_bps=2 * costs.slippage_bps,
        outlook=FundingOutlook(costs.assumed_funding_bps),
        events=settings.event_times,
        min_step=settings.quality.level_step.min_factor,
        on_decided=None if rows is None else rows.add,
        shadow=shadow,
        auxiliary=auxiliary,
    )

    def instrument_of(market: str) -> Any | None:
        return strategy.cache.instrument(instruments[market])

    strategy = StrategyHost(
        _host_config(settings, venue, process.execution, streams),
        signals,
        process.metrics.journal(journal),
        gate,
        instruments=instruments,
        plans=recovered.plans,
        entry_veto=EntryVeto(
            settings,
            feed,
            protections.protections.refusal,
            historic=venue.historic,
            account=None if compared is None else compared.refusal,
            orders=VenueEntries(process.execution.matching(markets), instrument_of),
        ),
        leader_of=process.models.leader_of,
        feed=feed,
        closes=signals.closes,
        weight_of=weight_of(settings, pulse.tell),
        next_funding=auxiliary.next_funding,
        protections=protections.protections,
    )
    for market, why in (*apart.untraded.items(), *apart.foreign.items()):
        signals.refuse(market, why)
    for market, why in apart.foreign.items():
        pulse.warn("market left alone", f"{market}: {why}")
    strategy.keep_books(NewestTrades(recovered.holdings), None if compared is None else compared.prices)
    strategy.on_refused = Refusals(pulse.warn, instrument_of)
    process.metrics.watch(strategy, process.on_decision)
    process.log.follow(strategy)
    protections.follow(strategy, instruments, auxiliary.measures)
    journal.follow(strategy)
    shadow.follow(strategy)
    if compared is not None:
        protections.counts.append(lambda: compared.failures)
    beat, look = turning(
        pulse.beat, protections.look, compared, strategy, instruments, settings.node.account, apart.untraded
    )
    supervisor = Supervisor(
        instruments,
        strategy,
        signals,
        loader,
        process.models,
        process.challengers,
        feed,
        Shutdown(settings.live_dir, strategy, pulse.tell, close_only=process.close_only),
        Hooks(
            pulse.tell,
            beat,
            process.stop,
            protections.alive,
            with_balances(look, venue, strategy, instruments.values()),
            settled=lambda: compared is None or compared.settled,
        ),
        auxiliary,
        max_step_pct=settings.node.feed.max_step_pct,
        poll=timedelta(seconds=settings.node.poll_deployment_s),
        reloads=venue.reloads_instruments,
    )
    pulse.run_with(strategy, signals, feed, rows, AccountCurve(process.journal, strategy, instruments))
    guards = [one for one in (protections.protections, compared) if one is not None]
    process.metrics.run_with(engine, Parts(strategy, gate, instruments, signals, loader, shadow, guards))
    engine.add_actor(supervisor)
    if auxiliary.listener is not None:
        engine.add_actor(auxiliary.listener)
    engine.add_strategy(strategy)
    ours = [instrument for market, instrument in instruments.items() if market not in apart.foreign]
    strategy.set_external_order_instrument_ids(ours)  # what is recovered there is the strategy's
    return Assembled(engine, strategy, compared or nullcontext(), protections, auxiliary)


def _host_config(settings: Settings, venue: Venue, execution: Execution, streams: Sequence[Stream]) -> HostConfig:
    timeframes: dict[str, list[str]] = {}
    for market, timeframe in streams:
        timeframes.setdefault(market, []).append(timeframe)
    return HostConfig(
        markets=tuple(timeframes),
        timeframes=timeframes,
        sizing=settings.trading.sizing,
        taker_fee_bps=settings.trading.costs.of_markets(timeframes).market_order_bps,
        execution_timeframe=venue.finest_timeframe(list(timeframes)),
        await_execution_bar=not venue.finer_bars_first,
        gather=_GATHER if len(streams) > 1 else None,
        listen_on_start=False,
        matching=execution.matching(list(timeframes)),
        account=settings.node.account,
        adopts=settings.node.adopt or settings.node.mode != "live",
    )


class EntryVeto:
    """Asked before each entry; a text refuses it.

    Parameters
    ----------
    settings
        The node's folder, and how late a bar may be.
    feed
        Which markets' bars can be believed.
    held
        Why nothing is entered on a signal by what holds trading back.
    historic
        Whether bars carry times of the past, so that none is late.
    account
        Why a market's account is not what the journal says; None where none is compared.
    orders
        Why the venue would not make of an order what was meant; None where none is sent there.
    """

    def __init__(
        self,
        settings: Settings,
        feed: FeedQuarantine,
        held: Callable[[Signal], str | None],
        *,
        historic: bool,
        account: Callable[[str], str | None] | None = None,
        orders: Callable[[Signal], str | None] | None = None,
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._held = held
        self._historic = historic
        self._account = account
        self._orders = orders

    def __call__(self, signal: Signal) -> str | None:
        """Why nothing may be entered now."""
        if kill_switch.engaged(self._settings.live_dir):
            return "the kill switch is on"
        if (why := self._feed.refusal(signal.market)) is not None:
            return f"the feed is not trusted: {why}"
        if self._orders is not None and (why := self._orders(signal)) is not None:
            return why
        if (held := self._held(signal)) is not None:
            return held
        if self._account is not None and (why := self._account(signal.market)) is not None:
            return why
        return None if self._historic else too_late(signal.known_at, datetime.now(UTC), self._settings.node)


def too_late(known_at: datetime, now: datetime, settings: NodeSettings) -> str | None:
    """Why a bar is too old to enter on: it was held up on the way, or this machine slept."""
    delay = (now - known_at).total_seconds()
    if delay <= settings.max_decision_delay_s:
        return None
    return f"the bar came {delay:,.0f} s late by this clock, limit {settings.max_decision_delay_s:g} s"
