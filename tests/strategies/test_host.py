"""The strategy on the simulated exchange: what it journals, when it stops, and what it knows after a restart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from nautilus_trader.model import ClientOrderId

from tests.backtest.worlds import EXACT, GENEROUS, LABELS, MINUTE, QUARTER, START, A, B, candles, flat, signals
from trading_assets.backtest.simulation.slices import MarketRules, decision_bars, price_path
from trading_assets.backtest.simulation.venue import Feed, make_engine, to_bars
from trading_assets.settings import RiskSettings
from trading_assets.store.tables import FILLS, ORDERS, POSITIONS, SIGNALS
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.host import StrategyHost
from trading_assets.strategies.host_config import HostConfig
from trading_assets.strategies.orders.plans import TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, MemoryJournal, Signal, StoredSignals, Stream

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
        self.markets, self.config = markets, config or HostConfig(markets, 0.1, dict.fromkeys(markets, ("15m",)))
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
                self.engine.add_data(to_bars(Feed(market, timeframe, RULES, bars.filter(cut)), venue="binance"))
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


def test_the_journal_holds_the_whole_life_of_a_trade_in_order() -> None:
    desk = Desk(RISE)
    desk.start(ENTRY)
    desk.run(END)
    orders = [(row["purpose"], row["status"]) for row in desk.journal.of("orders")]
    assert orders == [
        ("entry", "initialized"),
        ("entry", "submitted"),
        ("entry", "filled"),
        ("stop_loss", "initialized"),
        ("take_profit", "initialized"),
        ("stop_loss", "submitted"),
        ("take_profit", "submitted"),
        ("stop_loss", "accepted"),
        ("take_profit", "accepted"),
        ("take_profit", "filled"),
        ("stop_loss", "pending_cancel"),
        ("stop_loss", "canceled"),
    ]
    assert [row["event"] for row in desk.journal.of("positions")] == ["opened", "closed"]
    assert [row["side"] for row in desk.journal.of("fills")] == ["buy", "sell"]
    assert [plan.stage for plan in desk.plans()] == ["entering", "open", "closed"]
    assert desk.plans()[-1].exit_reason == "take_profit"
    assert {row["signal_id"] for kind in ("orders", "fills", "positions") for row in desk.journal.of(kind)} == {
        "m-v0-sample:AAA/USDT:USDT-20250101T0000"
    }
    assert desk.strategy.is_flat()


@pytest.mark.parametrize("table", [SIGNALS, ORDERS, FILLS, POSITIONS])
def test_every_event_has_the_columns_of_its_table(table: Any) -> None:
    desk = Desk(RISE)
    desk.start(ENTRY)
    desk.run(END)
    events = desk.journal.of(table.name)
    assert events
    for event in events:
        assert set(event) - {"event_id"} == set(table.columns) - {"node", "seq"}


def test_every_decision_is_journalled_with_its_reason() -> None:
    desk = Desk(flat(200))
    desk.start(signals((A, 0, 0.4), (A, 1, 0.7), (A, 2, 0.8)))
    desk.run(END)
    assert desk.actions() == [
        (
            "hold",
            "below the threshold of 0.5500; expected net return +20.0 bps: probability 0.4000, break-even 0.3333",
        ),
        ("enter", "expected net return +110.0 bps: probability 0.7000, break-even 0.3333"),
        ("hold", "a trade is open"),
    ]


def test_the_decision_is_journalled_before_the_order_is_sent() -> None:
    written: list[str] = []

    class Recorder(MemoryJournal):
        def record(self, kind: str, event: dict[str, Any]) -> None:
            written.append(f"{kind} {event.get('status', '')}".strip())
            super().record(kind, event)

    desk = Desk(RISE, journal=Recorder())
    desk.start(ENTRY)
    desk.run(START + 16 * MINUTE)
    assert written[:5] == ["signals", "plans", "orders initialized", "orders submitted", "orders filled"]


def test_a_refusal_names_limit_and_value_and_sends_nothing() -> None:
    desk = Desk(flat(60), risk=GENEROUS.model_copy(update={"max_orders_per_minute": 2}))
    desk.start(ENTRY)
    desk.run(START + timedelta(hours=1))
    assert desk.actions() == [("refuse", "orders per minute 3 above the limit 2 (trading.risk.max_orders_per_minute)")]
    assert desk.journal.of("orders") == []


def test_a_position_is_bounded_by_the_maximum_notional() -> None:
    desk = Desk(flat(60), risk=GENEROUS.model_copy(update={"max_position_notional": 2_500.0}))
    desk.start(ENTRY)
    desk.run(START + timedelta(hours=1))
    assert desk.journal.of("fills")[0]["quantity"] == 25.0


def test_a_blocked_strategy_refuses_with_the_reason_it_was_given() -> None:
    desk = Desk(flat(60))
    desk.start(ENTRY, entry_veto=lambda _: "kill switch is set")
    desk.run(START + timedelta(hours=1))
    assert desk.actions() == [("refuse", "kill switch is set")]


class Told(StrategyHost):
    """Listens to nobody: the test hands over the bars."""

    def on_start(self) -> None:
        pass


def minute_and_quarter(strategy_settings: HostConfig) -> tuple[StrategyHost, MemoryJournal, Any, Any]:
    frame, journal = candles(flat(16)), MemoryJournal()
    minute = frame.tail(2).head(1).with_columns(at=pl.col("ts") + MINUTE)
    quarter = frame.head(1).with_columns(at=pl.col("ts") + QUARTER)
    (fine,) = to_bars(Feed(A, "1m", RULES, minute), venue="binance")
    (coarse,) = to_bars(Feed(A, "15m", RULES, quarter), venue="binance")
    source = StoredSignals(ENTRY, rule=EntryRule(threshold=0.9), labels=LABELS, model="m")
    engine = make_engine(EXACT, {A: RULES}, venue="binance")
    strategy = Told(strategy_settings, source, journal, RiskGate(GENEROUS))
    engine.add_strategy(strategy)
    engine.run()
    return strategy, journal, fine, coarse


def test_a_decision_waits_for_the_minute_that_ends_with_it_in_whatever_order_they_come() -> None:
    patient = HostConfig((A,), 0.1, {A: ("15m",)}, execution_timeframe="1m", await_execution_bar=True)
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
    strategy, *_ = minute_and_quarter(HostConfig((A,), 0.1, {A: ("15m",)}, execution_timeframe="1m"))
    for bar in reversed(to_bars(Feed(A, "1m", RULES, frame), venue="binance")):
        strategy.on_bar(bar)
    assert strategy.now == START + 16 * MINUTE


def test_a_halted_strategy_enters_no_more_but_keeps_stop_and_target() -> None:
    desk = Desk(RISE)
    strategy = desk.start(ENTRIES)
    desk.run(START + 18 * MINUTE)
    strategy.halt("operator")
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "take_profit"
    assert desk.actions()[-1] == ("refuse", "halted: operator")
    assert len(desk.journal.of("fills")) == 2


def test_flatten_closes_the_position_and_cancels_its_orders() -> None:
    desk = Desk(flat(200))
    strategy = desk.start(ENTRIES)
    desk.run(START + 18 * MINUTE)
    strategy.flatten("kill")
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "kill"
    assert strategy.is_flat()
    assert desk.engine.cache.orders_open_count() == 0
    assert len(desk.journal.of("fills")) == 2


def test_an_entry_on_its_way_is_closed_when_it_fills_after_flatten() -> None:
    desk = Desk(flat(200))
    strategy = desk.start(ENTRIES)
    desk.run(START + QUARTER + timedelta(milliseconds=50))
    assert strategy.open_trades[A].stage == "entering"
    strategy.flatten("kill")
    desk.run(END)
    assert strategy.is_flat()
    assert [row["purpose"] for row in desk.journal.of("orders") if row["status"] == "filled"] == ["entry", "exit"]


class BrokenJournal(MemoryJournal):
    """Cannot write some events."""

    def __init__(self, broken: Callable[[str, dict[str, Any]], bool]) -> None:
        super().__init__()
        self.broken = broken

    def record(self, kind: str, event: dict[str, Any]) -> None:
        if self.broken(kind, event):
            raise OSError("disk full")
        super().record(kind, event)


def test_what_cannot_be_journalled_is_not_done() -> None:
    desk = Desk(flat(200), journal=BrokenJournal(lambda kind, _: kind == "signals"))
    strategy = desk.start(ENTRIES)
    desk.run(END)
    assert desk.journal.of("orders") == []
    assert strategy.halted == "on_bar failed: OSError: disk full"
    assert isinstance(strategy.errors[0], OSError)


def test_an_exception_halts_the_strategy_and_the_open_trade_keeps_its_protection() -> None:
    desk = Desk(RISE, journal=BrokenJournal(lambda kind, event: event.get("action") == "hold"))
    strategy = desk.start(signals((A, 0, 0.7), (A, 1, 0.1), (A, 4, 0.9)))
    desk.run(END)
    assert strategy.halted is not None
    assert desk.plans()[-1].exit_reason == "take_profit"
    assert desk.actions()[-1][0] == "refuse"


def test_a_position_whose_protection_could_not_be_sent_is_protected_on_the_next_bar() -> None:
    failing = {"left": 1}

    def once(kind: str, event: dict[str, Any]) -> bool:
        if event.get("purpose") == "stop_loss" and failing["left"]:
            failing["left"] -= 1
            return True
        return False

    rows: Rows = [*flat(40), (100, 100, 98, 98), *flat(100, 98)]
    desk = Desk(rows, journal=BrokenJournal(once))
    desk.start(ENTRY)
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "stop_loss"
    assert desk.strategy.is_flat()


def newest(journal: MemoryJournal) -> list[TradePlan]:
    return list({row["market"]: TradePlan.from_json(row["plan"]) for row in journal.of("plans")}.values())


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([*flat(40), (100, 103, 100, 103), *flat(100, 103)], "take_profit"),
        ([*flat(40), (100, 100, 98, 98), *flat(100, 98)], "stop_loss"),
        (flat(200), "time"),
    ],
)
def test_after_a_restart_it_knows_its_position_with_stop_target_and_expiry(rows: Rows, reason: str) -> None:
    desk = Desk(rows)
    desk.start(ENTRIES)
    desk.run(START + 20 * MINUTE)
    before = desk.strategy.open_trades[A]
    again = desk.start(signals((A, 1, 0.9)), plans=newest(desk.journal))
    desk.run(END)
    assert before.stage == "open"
    closed = desk.plans()[-1]
    assert (closed.signal_id, closed.exit_reason) == (before.signal_id, reason)
    assert closed.stop_price == before.stop_price
    assert closed.expires_at == before.expires_at
    assert again.is_flat()
    assert len(desk.journal.of("fills")) == 2
    assert desk.engine.cache.orders_open_count() == 0


def test_after_a_restart_a_missing_stop_is_sent_again() -> None:
    desk = Desk([*flat(40), (100, 100, 98, 98), *flat(100, 98)])
    desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    (plan,) = newest(desk.journal)
    forgotten = TradePlan.from_json(plan.to_json().replace(plan.stop_order_id, "O-unknown"))
    desk.start(ENTRY, plans=[forgotten])
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "stop_loss"


def test_a_stop_that_the_venue_cancels_is_sent_again_on_the_next_bar() -> None:
    desk = Desk([*flat(40), (100, 100, 98, 98), *flat(100, 98)])
    strategy = desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    canceled = strategy.open_trades[A].stop_order_id
    strategy.cancel_order(ClientOrderId(canceled))
    desk.run(START + 35 * MINUTE)
    again = strategy.open_trades[A]
    assert again.stage == "open"
    assert again.stop_order_id != canceled
    desk.run(END)
    assert desk.plans()[-1].exit_reason == "stop_loss"


def test_after_a_restart_a_plan_without_its_position_is_ended_as_lost() -> None:
    desk = Desk(flat(60))
    desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    plans = newest(desk.journal)
    other = Desk(flat(60))
    other.start(signals((A, 1, 0.9)), plans=plans)
    other.run(START + timedelta(hours=1))
    assert other.plans()[0].exit_reason == "lost"
    assert other.actions() == [("enter", "expected net return +170.0 bps: probability 0.9000, break-even 0.3333")]


def test_a_position_without_a_plan_is_closed() -> None:
    desk = Desk(flat(200))
    desk.start(ENTRY)
    desk.run(START + 20 * MINUTE)
    desk.start(signals((A, 30, 0.9)), plans=[])
    desk.run(START + timedelta(hours=1))
    assert desk.engine.cache.positions_open_count() == 0


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
    settings = HostConfig((A, B), 0.1, dict.fromkeys((A, B), ("15m",)))
    leader_of = {Stream(A, "15m"): B}.get
    engine.add_strategy(StrategyHost(settings, asked, MemoryJournal(), RiskGate(GENEROUS), leader_of=leader_of))
    bars = decision_bars(candles(flat(90)), timeframe="1m", decision_timeframe="15m", until=START + 6 * QUARTER)
    bars = bars.rename({"known_at": "at"}).drop("ts")
    lost = pl.col("at") == START + 3 * QUARTER
    for market, frame in ((A, bars), (B, bars.filter(~lost))):  # A comes first
        engine.add_data(to_bars(Feed(market, "15m", RULES, frame), venue="binance"))
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
    settings = HostConfig(tuple(delays_ms), share, quarters, gather=timedelta(milliseconds=10))
    engine.add_strategy(StrategyHost(settings, source, journal, RiskGate(risk)))
    bars = decision_bars(candles(flat(15)), timeframe="1m", decision_timeframe="15m", until=START + QUARTER)
    for market, delay in delays_ms.items():
        late = bars.select(at=pl.col("known_at") - timedelta(seconds=1, milliseconds=-delay)).hstack(bars.drop("ts"))
        engine.add_data(to_bars(Feed(market, "15m", RULES, late.drop("known_at")), venue="binance"))
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
    settings = HostConfig((A,), 0.1, timeframes={A: ("5m", "15m")}, gather=timedelta(milliseconds=10))
    engine.add_strategy(StrategyHost(settings, source, journal, RiskGate(GENEROUS)))
    for timeframe in ("5m", "15m"):  # the finer one comes first
        bars = decision_bars(candles(flat(15)), timeframe="1m", decision_timeframe=timeframe, until=START + QUARTER)
        bars = bars.filter(pl.col("known_at") == START + QUARTER).rename({"known_at": "at"}).drop("ts")
        engine.add_data(to_bars(Feed(A, timeframe, RULES, bars), venue="binance"))
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
