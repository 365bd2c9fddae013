"""A node's parts on the simulated exchange, with metrics on them: what a scrape gets, without a process."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
from nautilus_trader.model import InstrumentId

from tests.backtest.worlds import (
    EXACT,
    GENEROUS,
    LABELS,
    QUARTER,
    START,
    A,
    candles,
    engine_bars,
    flat,
    share_of_equity,
    signals,
)
from trading_assets.backtest.simulation.slices import MarketRules, decision_bars, price_path
from trading_assets.backtest.simulation.venue import Feed, make_engine
from trading_assets.journal import JOURNAL_FILE, BufferedJournal, Journal
from trading_assets.settings import BacktestSettings, EquityShareSettings, RiskSettings, Settings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host.config import HostConfig
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.instruments import instrument_id
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_assets.strategies.stored_signals import StoredSignals
from trading_live.metrics.node_metrics import NodeMetrics
from trading_live.metrics.parts import Parts
from trading_live.node.bars.fatal_requests import FatalRequests
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.history_loader import HistoryLoader
from trading_live.node.journal.pulse import Pulse
from trading_live.node.journal.strategy_journal import StrategyJournal
from trading_live.operations.heartbeat import NodeLock, State

Rows = Sequence[tuple[float, float, float, float]]
RULES = MarketRules(2, 3)
STREAM = Stream(A, "15m")
ENTRY = signals((A, 0, 0.7))
"""Wanted on the first bar: long from 100, with a target at 102 and a stop at 99."""


@dataclass
class Clock:
    """A venue's time, and seconds that only grow: both as the test says."""

    remote: bool = False
    at: datetime | None = None
    seconds: float = 0.0

    def now(self) -> datetime | None:
        return self.at


@dataclass
class World:
    """The parts of a node; ``run`` brings bars, ``scrape`` is what Prometheus would get after a heartbeat."""

    settings: Settings
    rows: Rows = field(default_factory=lambda: flat(200))
    entries: pl.DataFrame = field(default_factory=lambda: ENTRY)
    risk: RiskSettings = GENEROUS
    share: float = 0.1
    costs: BacktestSettings = EXACT
    order_rate: str = "100/00:00:01"
    guards: Sequence[object] = ()
    journal_of: Callable[[Path], BufferedJournal] = lambda path: BufferedJournal(Journal(path, "n"))
    strategy_kind: type[StrategyHost] = StrategyHost
    source: Any = None

    def __post_init__(self) -> None:
        settings = self.settings = with_port(self.settings)
        self.lock = NodeLock(settings.live_dir)
        self.lock.acquire()
        self.journal = self.journal_of(settings.live_dir / JOURNAL_FILE)
        self.clock = Clock()
        self.metrics = NodeMetrics(settings, self.journal, lambda: self.clock.seconds)
        self.pulse = Pulse(settings.node, self.lock, self.journal, (), self.metrics)
        self.models = DeployedModels(settings, self.pulse.tell)
        self.challengers = Challengers(settings, self.pulse.tell, historic=True)
        self.pulse.follow(self.models, self.challengers)
        self.feed = FeedQuarantine(settings.node.feed, self.clock, self.pulse.warn, lambda: self.clock.seconds)
        self.loader = HistoryLoader(self.feed, self.pulse.tell, FatalRequests(settings.live_dir), historic=True)
        self.signals = LiveSignals({STREAM: 100}, self.models, self.loader.missing, cost_bps=0.0)
        self.loader.serve(self.signals, lambda stream, request: None)
        self.gate = RiskGate(self.risk)
        with patch("trading_assets.backtest.simulation.venue.engine_order_rate", lambda _: self.order_rate):
            self.engine = make_engine(self.costs, {A: RULES}, venue="binance")
        config = HostConfig((A,), sizing(self.share), {A: ("15m",)})
        stored = StoredSignals(self.entries, rule=EntryRule(threshold=0.55), labels=LABELS, model="m")
        journal = self.metrics.journal(StrategyJournal(self.journal))
        source = self.source or stored
        self.strategy = self.strategy_kind(config, source, journal, self.gate, feed=self.feed)
        self.metrics.watch(self.strategy, None)
        self.pulse.run_with(self.strategy, self.signals, self.feed)
        named = {A: InstrumentId.from_str(instrument_id(A))}
        parts = Parts(self.strategy, self.gate, named, self.signals, self.loader, (), self.guards)
        self.metrics.run_with(self.engine, parts)
        self.engine.add_strategy(self.strategy)
        self.done = START

    def run(self, hours: float) -> None:
        """Bring the bars of so many hours, in the strategy and in what the node holds."""
        until, frame = self.done + timedelta(hours=hours), candles(self.rows)
        timeframes = {"timeframe": "1m", "decision_timeframe": "15m"}
        path = price_path(frame, **timeframes, latency=timedelta(milliseconds=100), low_first=True)
        decided = decision_bars(frame, **timeframes, until=until)
        cut = pl.col("at").is_between(self.done, until, closed="left")
        for timeframe, bars in (("1m", path), ("15m", decided.rename({"known_at": "at"}).drop("ts"))):
            self.engine.add_data(engine_bars(Feed(A, timeframe, RULES, bars.filter(cut))))
        self.engine.run(streaming=True)
        self.engine.clear_data()
        for row in decided.filter(pl.col("known_at").is_between(self.done, until, closed="left")).iter_rows(named=True):
            self.hold(row["ts"], row["close"])
        self.done = until

    def hold(self, ts: datetime, close: float) -> None:
        """A bar as the node's own source takes it."""
        self.signals.on_bars([ClosedBar(A, "15m", ts, ts + QUARTER, close, close, close, close, 1e3)])

    def scrape(self, state: State = "trading") -> Scrape:
        """The page after a heartbeat."""
        self.pulse.beat(state)
        return Scrape.of(self.metrics.text())

    def end(self) -> None:
        """Close what is open."""
        self.metrics.end_run()
        self.engine.dispose()
        self.journal.close()
        self.lock.release()


def sizing(share: float) -> EquityShareSettings:
    """All positions the same share of equity; one that settings would refuse, too: accounts run out of margin."""
    return share_of_equity(1.0).model_copy(update={"position_share": share})


def with_port(settings: Settings) -> Settings:
    """Settings of a node that is watched, on any port."""
    return settings.model_copy(update={"node": settings.node.model_copy(update={"metrics_port": 0})})


_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$")


@dataclass(frozen=True)
class Scrape:
    """The series of an exposition."""

    series: dict[str, float]

    @classmethod
    def of(cls, text: str) -> Scrape:
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                match = _SAMPLE.match(line)
                assert match, line
                found[match[1] + (match[2] or "")] = float(match[3])
        return cls(found)

    def __getitem__(self, name: str) -> float:
        return self.series[name]

    def __contains__(self, name: str) -> bool:
        return name in self.series

    def names(self) -> set[str]:
        """The metrics, without labels and without the endings of a histogram's series."""
        return {re.sub(r"_(bucket|sum|count)$", "", name.split("{")[0]) for name in self.series}
