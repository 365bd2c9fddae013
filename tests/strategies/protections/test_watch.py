"""The protections as node and backtest hold them: what they measure, and what a restarted process knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from trading_assets.settings import ProtectionSettings
from trading_assets.strategies.protections import (
    NODE,
    Protections,
    State,
    market_scope,
    model_scope,
    triggers_of,
)
from trading_assets.strategies.protections.watch import HeardJournal
from trading_assets.strategies.signals import ClosedBar, MemoryJournal

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
A, B = "sample:AAA/USDT:USDT", "sample:BBB/USDT:USDT"


class Written:
    """A journal in order of writing, as a file is."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def keep_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        self.events += events

    record_all = keep_all


def of(limits: dict[str, Any], journal: Written) -> Protections:
    triggers = triggers_of(ProtectionSettings.model_validate(limits))
    return Protections(triggers, equity=1000.0, keep=journal.keep_all)


def position(
    market: str, event: str, at: datetime, *, quantity: float = 0.0, price: float = 100.0, pnl: float = 0.0
) -> tuple[str, dict[str, Any]]:
    row = {"ts": at, "market": market, "event": event, "quantity": quantity, "average_price": price}
    return "positions", {**row, "realized_pnl": pnl, "signal_id": f"trend-v3-{market}-20250301T1200"}


def order(status: str, at: datetime, number: int) -> tuple[str, dict[str, Any]]:
    return "orders", {"ts": at, "market": A, "order_id": f"o-{number}", "signal_id": "s", "status": status}


def bar(market: str, at: datetime, close: float) -> ClosedBar:
    return ClosedBar(market, "1m", at - MINUTE, at, close, close, close, close, 1.0)


def states(one: Protections) -> dict[str, str]:
    return {f"{scope} {cause}": change.state.word for (scope, cause), change in one.held.items()}


def test_drawdown_counts_open_trades_at_their_newest_close_and_is_measured_from_a_marked_peak() -> None:
    journal = Written()
    one = of({"drawdown_pct": 5}, journal)
    one.hear([position(A, "opened", NOW, quantity=2.0)])
    assert not one.on_bar(bar(A, NOW, 125.0)), "1,050 is the peak"
    assert not one.on_bar(bar(A, NOW + MINUTE, 100.0)), "1,000 is 4.8 % below"
    assert one.on_bar(bar(A, NOW + 2 * MINUTE, 98.0))
    assert states(one) == {"node drawdown_pct": "halted"}
    change = one.held[NODE, "drawdown_pct"]
    assert (change.value, change.limit) == (pytest.approx(100 * (1 - 996 / 1050)), 5.0)
    assert [row["value"] for _, row in journal.events if row["cause"] == "equity_peak"] == [1050.0]


def test_a_short_trade_loses_where_the_price_rises() -> None:
    one = of({"drawdown_pct": 5}, Written())
    one.look(NOW)
    one.hear([position(A, "opened", NOW, quantity=-2.0)])
    assert one.on_bar(bar(A, NOW, 125.0))


def test_a_resumed_drawdown_is_measured_from_the_equity_of_then() -> None:
    one = of({"drawdown_pct": 5}, Written())
    one.look(NOW)
    one.hear([position(A, "closed", NOW, pnl=-60.0)])
    assert one.look(NOW)
    one.resume(NOW + MINUTE, NODE, request="r")
    assert not one.look(NOW + MINUTE)
    one.hear([position(A, "closed", NOW, pnl=-40.0)])
    assert not one.look(NOW + 2 * MINUTE), "940 to 900 is 4.3 %"
    one.hear([position(A, "closed", NOW, pnl=-10.0)])
    assert one.look(NOW + 3 * MINUTE)


def test_a_streak_is_of_its_model_and_market_and_a_win_ends_it() -> None:
    one = of({"model_losing_streak": 3, "market_losing_streak": 2}, Written())
    one.hear([position(A, "closed", NOW, pnl=-1.0), position(B, "closed", NOW, pnl=-1.0)])
    one.look(NOW)
    assert states(one) == {}
    one.hear([position(A, "closed", NOW, pnl=-1.0)])
    one.look(NOW)
    assert states(one) == {
        "model trend model_losing_streak": "reducing",
        f"market {A} market_losing_streak": "reducing",
    }
    assert one.verdict(model="other", market=B).state is State.RUNNING
    two = of({"model_losing_streak": 3}, Written())
    two.hear([position(A, "closed", NOW, pnl=pnl) for pnl in (-1.0, -1.0, 0.5, -1.0, -1.0)])
    two.look(NOW)
    assert states(two) == {}


def test_rejects_are_a_rate_from_six_orders_on() -> None:
    one = of({}, Written())
    for number in range(5):
        one.hear([order("initialized", NOW, number), order("rejected", NOW, number)])
    one.look(NOW)
    assert states(one) == {}
    one.hear([order("initialized", NOW, 5), order("accepted", NOW, 5)])
    one.look(NOW)
    assert states(one) == {"node reject_rate_pct": "reducing"}
    one.look(NOW + 14 * MINUTE)
    assert one.held, "its cooldown is 15 minutes"
    one.look(NOW + 15 * MINUTE)
    assert not one.held


def test_a_venue_that_answers_late_or_not_at_all_is_degraded() -> None:
    slow = of({}, Written())
    for number in range(3):
        at = NOW + number * timedelta(seconds=1)
        slow.hear([order("initialized", at, number), order("accepted", at + timedelta(seconds=6), number)])
    slow.look(NOW + timedelta(seconds=10))
    assert states(slow) == {"node venue_latency_s": "reducing"}
    dead = of({}, Written())
    for _ in range(5):
        dead.failed(NOW)
    dead.look(NOW)
    assert states(dead) == {"node venue_errors_per_minute": "reducing"}


@pytest.mark.parametrize(
    ("cause", "scope", "value"),
    [
        ("stale_data_s", market_scope(A), 151.0),
        ("clock_skew_s", NODE, 2.5),
        ("coverage_gap_pct", model_scope("trend"), 12.0),
        ("spread_bps", market_scope(A), 55.0),
    ],
)
def test_what_others_measure_is_told(cause: str, scope: Any, value: float) -> None:
    one = of({}, Written())
    one.tell(cause, scope, value)
    one.look(NOW)
    assert one.verdict(model="trend", market=A).state is State.REDUCING
    one.tell(cause, scope, 0.0)
    one.look(NOW + timedelta(days=2))
    assert not one.held


def test_a_runaway_of_orders_or_signals_waits_for_a_person() -> None:
    one = of({"orders_per_minute": 5, "signals_per_minute": 2}, Written())
    one.hear([order("initialized", NOW, number) for number in range(5)])
    wanted = {"ts": NOW, "market": A, "signal_id": "s", "model": "trend", "action": "enter"}
    one.hear([("signals", wanted), ("signals", wanted | {"action": "hold"})])
    one.look(NOW)
    assert states(one) == {"node orders_per_minute": "reducing"}
    one.hear([("signals", wanted)])
    one.look(NOW)
    assert states(one) == {"node orders_per_minute": "reducing", "model trend signals_per_minute": "reducing"}
    one.look(NOW + timedelta(days=1))
    assert len(one.held) == 2
    one.resume(NOW + timedelta(days=1), NODE, request="r")
    assert states(one) == {"model trend signals_per_minute": "reducing"}


def test_what_the_journal_does_not_take_nobody_heard_of() -> None:
    class Full(MemoryJournal):
        def record_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
            raise OSError("no room")

        def keep_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
            pass

    heard: list[Any] = []
    journal = HeardJournal(Full(), heard.extend)
    with pytest.raises(OSError, match="no room"):
        journal.record_all([order("initialized", NOW, 1)])
    assert heard == []
    journal.keep_all([order("initialized", NOW, 1)])
    assert len(heard) == 1


LIMITS = {
    "daily_loss_pct": 3,
    "drawdown_pct": {"limit": 5, "reset": "auto", "cooldown_s": 7200},
    "model_losing_streak": 3,
    "market_losing_streak": {"limit": 2, "state": "halted", "cooldown_s": 600},
    "orders_per_minute": 6,
}
EVENTS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from([A, B]), st.floats(-5, 5)),
    st.tuples(st.just("close"), st.sampled_from([A, B]), st.floats(-40, 40)),
    st.tuples(st.just("bar"), st.sampled_from([A, B]), st.floats(90, 110)),
    st.tuples(st.just("order"), st.sampled_from(["initialized", "accepted", "rejected"]), st.integers(0, 9)),
    st.tuples(
        st.just("pause"), st.sampled_from([NODE, market_scope(A)]), st.sampled_from([State.REDUCING, State.HALTED])
    ),
    st.tuples(st.just("resume"), st.sampled_from([NODE, market_scope(A), model_scope("trend")]), st.none()),
)


def happened(one: Protections, journal: HeardJournal, act: Any, now: datetime) -> None:
    kind, what, value = act
    if kind == "open":
        journal.keep_all([position(what, "opened", now, quantity=value)])
    elif kind == "close":
        journal.keep_all([position(what, "closed", now, pnl=value)])
    elif kind == "bar":
        one.on_bar(bar(what, now, value))
    elif kind == "order":
        journal.keep_all([order(what, now, value)])
    elif kind == "pause":
        one.pause(now, what, value, until=now + 20 * MINUTE, request="")
    else:
        one.resume(now, what, request="")


@given(st.lists(st.tuples(st.integers(0, 400), EVENTS), max_size=40), st.integers(0, 40))
def test_a_restarted_process_that_reads_the_journal_knows_and_does_the_same(
    acts: list[tuple[int, Any]], cut: int
) -> None:
    """The prices of open trades come with the next bars; everything else is in the journal."""
    file, once = Written(), Written()
    alone = of(LIMITS, once)
    first = of(LIMITS, file)
    now = NOW
    for number, (minutes, act) in enumerate(acts):
        now += minutes * MINUTE
        if number == cut:
            prices = dict(first._account._prices)
            first = of(LIMITS, file)
            first.hear(list(file.events))
            for market, price in prices.items():
                first._account.mark(market, price)
        for one, journal in ((alone, once), (first, file)):
            happened(one, HeardJournal(journal, one.hear), act, now)
            one.look(now)
    assert first.held == alone.held
    assert file.events == once.events
