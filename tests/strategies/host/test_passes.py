"""When a strategy decides: on which bars it waits, and what it decides on together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from tests.backtest.worlds import (
    EXACT,
    GENEROUS,
    LABELS,
    MINUTE,
    QUARTER,
    START,
    A,
    B,
    candles,
    engine_bars,
    flat,
    share_of_equity,
)
from tests.strategies.desk import ENTRY, RULES
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.backtest.simulation.venue import Feed, make_engine
from trading_assets.settings import RiskSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.host.config import HostConfig
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, MemoryJournal, Signal, Stream
from trading_assets.strategies.stored_signals import StoredSignals


class Told(StrategyHost):
    """Listens to nobody: the test hands over the bars."""

    def on_start(self) -> None:
        pass


def minute_and_quarter(strategy_settings: HostConfig) -> tuple[StrategyHost, MemoryJournal, Any, Any]:
    frame, journal = candles(flat(16)), MemoryJournal()
    minute = frame.tail(2).head(1).with_columns(at=pl.col("ts") + MINUTE)
    quarter = frame.head(1).with_columns(at=pl.col("ts") + QUARTER)
    (fine,) = engine_bars(Feed(A, "1m", RULES, minute))
    (coarse,) = engine_bars(Feed(A, "15m", RULES, quarter))
    source = StoredSignals(ENTRY, rule=EntryRule(threshold=0.9), labels=LABELS, model="m")
    engine = make_engine(EXACT, {A: RULES}, venue="binance")
    strategy = Told(strategy_settings, source, journal, RiskGate(GENEROUS))
    engine.add_strategy(strategy)
    engine.run()
    return strategy, journal, fine, coarse


def test_a_decision_waits_for_the_minute_that_ends_with_it_in_whatever_order_they_come() -> None:
    patient = HostConfig((A,), share_of_equity(0.1), {A: ("15m",)}, execution_timeframe="1m", await_execution_bar=True)
    strategy, journal, minute, quarter = minute_and_quarter(patient)
    strategy.on_bar(quarter)
    assert journal.of("signals") == []
    strategy.on_bar(minute)
    assert [row["bar_ts"] for row in journal.of("signals")] == [START]

    strategy, journal, minute, quarter = minute_and_quarter(patient)
    strategy.on_bar(minute)
    strategy.on_bar(quarter)
    assert [row["bar_ts"] for row in journal.of("signals")] == [START]


def test_a_bar_that_comes_late_does_not_turn_the_clock_back() -> None:
    frame = candles(flat(16)).with_columns(at=pl.col("ts") + MINUTE)
    strategy, *_ = minute_and_quarter(HostConfig((A,), share_of_equity(0.1), {A: ("15m",)}, execution_timeframe="1m"))
    for bar in reversed(engine_bars(Feed(A, "1m", RULES, frame))):
        strategy.on_bar(bar)
    assert strategy.now == START + 16 * MINUTE


class Asked:
    """A source of signals that has none, and remembers on which bars it was asked."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, int]] = []

    def on_bars(self, bars: Sequence[ClosedBar]) -> list[None]:
        self.bars += [(bar.market, (bar.known_at - START) // QUARTER) for bar in bars]
        return [None] * len(bars)


def test_a_decision_waits_for_the_bar_beside_it_until_a_later_bar_shows_that_it_does_not_come() -> None:
    engine = make_engine(EXACT, {A: RULES, B: RULES}, venue="binance")
    asked = Asked()
    settings = HostConfig((A, B), share_of_equity(0.1), dict.fromkeys((A, B), ("15m",)))
    leader_of = {Stream(A, "15m"): B}.get
    engine.add_strategy(StrategyHost(settings, asked, MemoryJournal(), RiskGate(GENEROUS), leader_of=leader_of))
    bars = decision_bars(candles(flat(90)), timeframe="1m", decision_timeframe="15m", until=START + 6 * QUARTER)
    bars = bars.rename({"known_at": "at"}).drop("ts")
    lost = pl.col("at") == START + 3 * QUARTER
    for market, frame in ((A, bars), (B, bars.filter(~lost))):  # A comes first
        engine.add_data(engine_bars(Feed(market, "15m", RULES, frame)))
    engine.run()
    assert asked.bars == [(B, 1), (A, 1), (B, 2), (A, 2), (A, 3), (B, 4), (A, 4), (B, 5), (A, 5), (B, 6), (A, 6)]


class Wanting(Asked):
    """Wants to enter on every bar; remembers which bars it was asked about together."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[list[str]] = []

    def on_bars(self, bars: Sequence[ClosedBar]) -> list[Any]:
        self.passes.append([bar.market for bar in bars])
        return [
            Signal(bar.market, bar.ts, bar.known_at, 0.9, EntryRule(threshold=0.5), 2.0, 1.0, 4, "m") for bar in bars
        ]


class Transactions(MemoryJournal):
    """Remembers what was written as one."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[list[str]] = []

    def record_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        self.written.append([kind for kind, _ in events])
        super().record_all(events)


def passes(
    delays_ms: dict[str, int], risk: RiskSettings = GENEROUS, share: float = 0.1
) -> tuple[Wanting, Transactions]:
    """One bar of each market, that many milliseconds after its end, in a strategy that gathers them for 10 ms."""
    engine = make_engine(EXACT, dict.fromkeys(delays_ms, RULES), venue="binance")
    source, journal = Wanting(), Transactions()
    quarters = dict.fromkeys(delays_ms, ("15m",))
    settings = HostConfig(tuple(delays_ms), share_of_equity(share), quarters, gather=timedelta(milliseconds=10))
    engine.add_strategy(StrategyHost(settings, source, journal, RiskGate(risk)))
    bars = decision_bars(candles(flat(15)), timeframe="1m", decision_timeframe="15m", until=START + QUARTER)
    for market, delay in delays_ms.items():
        late = bars.select(at=pl.col("known_at") - timedelta(seconds=1, milliseconds=-delay)).hstack(bars.drop("ts"))
        engine.add_data(engine_bars(Feed(market, "15m", RULES, late.drop("known_at"))))
    engine.run()
    engine.dispose()
    return source, journal


def test_bars_that_close_together_are_decided_in_one_pass_and_written_as_one() -> None:
    c = "sample:CCC/USDT:USDT"
    source, journal = passes({A: 0, B: 4, c: 8})
    assert source.passes == [[A, B, c]]  # all are there: nobody waits any longer
    assert journal.written[0] == ["signals"] * 3 + ["plans", "orders"] * 3
    source, _ = passes({A: 0, B: 4, c: 50})
    assert source.passes == [[A, B]]  # the third came too late, and the data end before its own pass


def test_a_pass_waits_longer_while_bars_are_coming_but_not_for_ever() -> None:
    markets = [f"sample:{letter * 3}/USDT:USDT" for letter in "ABCDEF"]
    assert passes(dict(zip(markets, (0, 9, 18, 19, 19, 19), strict=True)))[0].passes == [markets]
    assert passes(dict(zip(markets, (0, 9, 18, 27, 36, 45), strict=True)))[0].passes == [markets[:5]]


def test_timeframes_of_one_market_are_decided_together_and_one_of_them_enters() -> None:
    engine = make_engine(EXACT, {A: RULES}, venue="binance")
    source, journal = Wanting(), Transactions()
    settings = HostConfig((A,), share_of_equity(0.1), timeframes={A: ("5m", "15m")}, gather=timedelta(milliseconds=10))
    engine.add_strategy(StrategyHost(settings, source, journal, RiskGate(GENEROUS)))
    for timeframe in ("5m", "15m"):  # the finer one comes first
        bars = decision_bars(candles(flat(15)), timeframe="1m", decision_timeframe=timeframe, until=START + QUARTER)
        bars = bars.filter(pl.col("known_at") == START + QUARTER).rename({"known_at": "at"}).drop("ts")
        engine.add_data(engine_bars(Feed(A, timeframe, RULES, bars)))
    engine.run()
    engine.dispose()
    assert source.passes == [[A, A]]
    said = [(row["action"], row["bar_ts"]) for row in journal.of("signals")]
    assert said == [("enter", START), ("hold", START + QUARTER - 5 * MINUTE)], "the coarser one first"
    assert journal.of("signals")[1]["reason"] == "a trade is open"


def test_the_orders_of_a_pass_count_before_they_are_sent() -> None:
    _, journal = passes({A: 0, B: 0}, GENEROUS.model_copy(update={"max_orders_per_minute": 5}))
    assert [row["action"] for row in journal.of("signals")] == ["enter", "refuse"]
    assert journal.of("signals")[1]["reason"].startswith("orders per minute 6 above the limit 5 ")


def test_the_cash_of_a_pass_is_bound_before_its_entries_are_sent() -> None:
    _, journal = passes({"sample:AAA/USDT": 0, "sample:BBB/USDT": 0}, share=0.7)
    assert [row["action"] for row in journal.of("signals")] == ["enter", "refuse"]
    assert journal.of("signals")[1]["reason"].startswith("not enough cash: 70,0")
