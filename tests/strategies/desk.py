"""A strategy on the simulated exchange, run up to a time and started again as a restarted node would."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from tests.backtest.worlds import (
    EXACT,
    GENEROUS,
    LABELS,
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
from trading_assets.settings import RiskSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.host.config import HostConfig
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import MemoryJournal
from trading_assets.strategies.stored_signals import StoredSignals

Rows = list[tuple[float, float, float, float]]
RULES = MarketRules(2, 3)


class Restarted(StrategyHost):
    """Started by hand in a running engine, which calls ``on_start`` while the strategy is still borrowed."""

    def on_start(self) -> None:
        pass


class Desk:
    """An engine that can be run up to a time, and the strategy in it replaced, as a restarted node would."""

    def __init__(
        self,
        rows: Rows,
        *,
        risk: RiskSettings = GENEROUS,
        journal: MemoryJournal | None = None,
        markets: tuple[str, ...] = (A,),
        config: HostConfig | None = None,
        low_first: bool = True,
    ) -> None:
        self.low_first = low_first
        self.frame = candles(rows)
        self.journal = journal or MemoryJournal()
        self.risk = risk
        self.markets, self.config = (
            markets,
            config or HostConfig(markets, share_of_equity(0.1), dict.fromkeys(markets, ("15m",))),
        )
        self.engine = make_engine(EXACT, dict.fromkeys(markets, RULES), venue="binance")
        self.done = START

    def start(self, predictions: pl.DataFrame, **kwargs: Any) -> StrategyHost:
        running = self.done > START
        if running:
            self.strategy.stop()
            self.engine.clear_strategies()
        source = StoredSignals(predictions, rule=EntryRule(threshold=0.55), labels=LABELS, model="m")
        kind = Restarted if running else StrategyHost
        self.strategy = kind(self.config, source, self.journal, RiskGate(self.risk), **kwargs)
        self.engine.add_strategy(self.strategy)
        if running:
            self.strategy.start()
            StrategyHost.on_start(self.strategy)
        return self.strategy

    def run(self, until: datetime) -> None:
        latency = timedelta(milliseconds=100)
        timeframes = {"timeframe": "1m", "decision_timeframe": "15m"}
        path = price_path(self.frame, **timeframes, latency=latency, low_first=self.low_first)
        decisions = decision_bars(self.frame, timeframe="1m", decision_timeframe="15m", until=until)
        feeds = (("1m", path), ("15m", decisions.rename({"known_at": "at"}).drop("ts")))
        cut = pl.col("at").is_between(self.done, until, closed="left")
        for market in self.markets:
            for timeframe, bars in feeds:
                self.engine.add_data(engine_bars(Feed(market, timeframe, RULES, bars.filter(cut))))
        self.engine.run(streaming=True)
        self.engine.clear_data()
        self.done = until

    def actions(self) -> list[tuple[str, str]]:
        return [(row["action"], row["reason"]) for row in self.journal.of("signals")]

    def plans(self) -> list[TradePlan]:
        return [TradePlan.from_json(row["plan"]) for row in self.journal.of("plans")]


ENTRY = signals((A, 0, 0.7))
ENTRIES = signals(*((A, n, 0.7) for n in range(12)))
RISE: Rows = [*flat(20), (100, 103, 100, 103), *flat(200, 103)]
END = START + timedelta(hours=3)


class BrokenJournal(MemoryJournal):
    """Cannot write some events."""

    def __init__(self, broken: Callable[[str, dict[str, Any]], bool]) -> None:
        super().__init__()
        self.broken = broken

    def record(self, kind: str, event: dict[str, Any]) -> None:
        if self.broken(kind, event):
            raise OSError("disk full")
        super().record(kind, event)


def newest(journal: MemoryJournal) -> list[TradePlan]:
    return list({row["market"]: TradePlan.from_json(row["plan"]) for row in journal.of("plans")}.values())
