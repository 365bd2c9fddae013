"""Names, times, plans, signals and the risk gate: what needs no engine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.errors import NodeError
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import LabelSettings, RiskSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.instruments import (
    bar_type,
    close_time,
    event_time,
    nanoseconds,
    open_time,
    raw_symbol,
)
from trading_assets.strategies.orders.journal_rows import signal_row
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, Signal
from trading_assets.strategies.stored_signals import StoredSignals

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMITS = RiskSettings(max_position_notional=1000.0, max_daily_loss=100.0, max_orders_per_minute=3)
SIGNAL = Signal(
    "binance:BTC/USDT:USDT", NOW, NOW + timedelta(minutes=15), 0.61, EntryRule(10.0), 2.0, 1.0, 24, "btc", 3, "abc"
)


def test_bars_and_symbols_are_written_as_the_engine_and_binance_do() -> None:
    assert bar_type("X.Y", "1h") == "X.Y-1-HOUR-LAST-EXTERNAL"
    assert raw_symbol("sample:SYNA/USDT:USDT") == "SYNAUSDT"


def test_a_close_just_before_the_minute_and_on_it_are_the_same_bar() -> None:
    on_the_minute = nanoseconds(NOW)
    for ts_event in (on_the_minute, on_the_minute - 1_000_000):
        assert open_time(ts_event, "15m") == NOW - timedelta(minutes=15)
        assert close_time(ts_event) == NOW


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_survive_the_engines_nanoseconds(moment: datetime) -> None:
    assert event_time(nanoseconds(moment)) == moment


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "1d"])
def test_a_decision_is_journalled_with_the_timeframe_of_its_bar(timeframe: str) -> None:
    signal = replace(SIGNAL, known_at=NOW + Timeframe.parse(timeframe).length)
    kind, row = signal_row(signal, "hold", "", ts=NOW)
    assert (kind, row["timeframe"]) == ("signals", timeframe)


def test_a_plan_survives_the_journal() -> None:
    plan = TradePlan.of(SIGNAL, quantity=0.5, entry_order_id="O-1").filled(0.4, 100.0)
    assert TradePlan.from_json(plan.to_json()) == plan
    assert (plan.stop_price, plan.target_price) == (pytest.approx(99), pytest.approx(102))
    assert plan.expires_at == SIGNAL.known_at + timedelta(hours=6)
    assert plan.purpose_of("O-1") == "entry"
    assert plan.purpose_of("") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"market": "x"}', "null"])
def test_a_broken_plan_is_an_error_that_says_so(text: str) -> None:
    with pytest.raises(NodeError, match="plan"):
        TradePlan.from_json(text)


def test_a_signal_is_named_by_model_version_market_and_bar() -> None:
    assert SIGNAL.signal_id == "btc-v3-binance:BTC/USDT:USDT-20250301T1200"


def test_stored_signals_answer_only_for_their_market_and_bar() -> None:
    rows = pl.DataFrame({"market": ["m"], "ts": [NOW], "known_at": [NOW], "probability": [0.7]})
    source = StoredSignals(rows, rule=EntryRule(threshold=0.6), labels=LabelSettings(), model="x")

    def bar(market: str, ts: datetime) -> ClosedBar:
        return ClosedBar(market, "15m", ts, ts + timedelta(minutes=15), 1, 1, 1, 1, 1)

    signal = source.on_bar(bar("m", NOW))
    assert signal is not None
    assert (signal.probability, signal.threshold, signal.horizon_bars) == (0.7, 0.6, 24)
    assert source.on_bar(bar("n", NOW)) is None
    assert source.on_bar(bar("m", NOW + timedelta(minutes=15))) is None


def test_a_notional_above_the_limit_is_refused_with_value_and_limit() -> None:
    gate = RiskGate(LIMITS)
    assert gate.refusal(NOW, 1000.0) is None
    limit = "1,000.00 (trading.risk.max_position_notional)"
    assert gate.refusal(NOW, 1000.01) == f"position notional 1,000.01 above the limit {limit}"


def test_a_days_loss_stops_entries_until_the_next_utc_day() -> None:
    gate = RiskGate(LIMITS)
    gate.realise(NOW, 30.0)
    gate.realise(NOW, -129.0)
    assert gate.refusal(NOW, 1.0) is None
    gate.realise(NOW, -1.0)
    limit = "100.00 (trading.risk.max_daily_loss)"
    assert gate.refusal(NOW, 1.0) == f"daily loss 100.00 on 2025-03-01 UTC reached the limit {limit}"
    midnight = datetime(2025, 3, 2, tzinfo=UTC)
    assert gate.refusal(midnight - SECOND, 1.0) is not None
    assert gate.refusal(midnight, 1.0) is None


def test_the_loss_of_an_earlier_day_does_not_count() -> None:
    gate = RiskGate(LIMITS)
    gate.realise(NOW, 0.0)
    gate.realise(NOW - timedelta(days=1), -500.0)
    assert gate.refusal(NOW, 1.0) is None


def test_orders_are_counted_in_the_minute_that_ends_now() -> None:
    gate = RiskGate(LIMITS)
    for second in (0, 10, 20):
        gate.order_sent(NOW + second * SECOND)
    limit = "3 (trading.risk.max_orders_per_minute)"
    assert gate.refusal(NOW + 30 * SECOND, 1.0) == f"orders per minute 4 above the limit {limit}"
    assert gate.refusal(NOW + 60 * SECOND, 1.0) is None
    assert gate.refusal(NOW + 60 * SECOND, 1.0, orders=2) is not None


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(-50, 50)), max_size=30))
def test_the_gate_never_lets_more_orders_through_than_the_limit(events: list[tuple[int, float]]) -> None:
    gate, sent = RiskGate(LIMITS), []
    for second, pnl in sorted(events):
        now = NOW + second * SECOND
        gate.realise(now, pnl)
        if gate.refusal(now, 1.0) is None:
            gate.order_sent(now)
            sent.append(now)
            assert gate.realised(now) > -LIMITS.max_daily_loss
    for now in sent:
        assert sum(now - timedelta(minutes=1) < other <= now for other in sent) <= LIMITS.max_orders_per_minute


def test_signals_and_limits_load_no_engine() -> None:
    modules = "signals, risk.gate, plans.plan, instruments, orders.journal_rows"
    names = ", ".join(f"trading_assets.strategies.{name}" for name in modules.split(", "))
    code = f"import sys, {names}; print('nautilus_trader' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("given", "markets", "limit"), [(None, 1, 10), (None, 40, 127), (15, 40, 15)])
def test_the_limit_of_orders_grows_with_the_markets_unless_the_settings_say_it(
    given: int | None, markets: int, limit: int
) -> None:
    gate = RiskGate(RiskSettings(max_orders_per_minute=given), markets=markets)
    assert gate.refusal(NOW, 1.0, orders=limit) is None
    assert gate.refusal(NOW, 1.0, orders=limit + 1) is not None
