"""What we rely on in NautilusTrader: a change of its interface or behaviour shows here first."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import pytest
from nautilus_trader import __version__
from nautilus_trader.execution import StaticLatencyModel
from nautilus_trader.model import Bar, BarType, OrderSide, Price, Quantity
from nautilus_trader.trading import Strategy, StrategyConfig

from tests.backtest.worlds import EXACT, A, backtest, random_signals, walk
from trading_assets.backtest.simulation import venue
from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.strategies.instruments import bar_type, instrument_id

MINUTE = 60_000_000_000
KIND = BarType.from_str(bar_type(instrument_id(A), "1m"))
T0 = 1_700_000_000_000_000_000


class Buyer(Strategy):
    """Buys on the first bar, then rests a stop at 99 and a target at 102."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__()
        self.fills: list[tuple[float, int]] = []
        self.sync_errors: list[str] = []

    def on_start(self) -> None:
        self.subscribe_bars(KIND)

    def on_bar(self, bar: Bar) -> None:
        if not self.cache.orders_total_count():
            order = self.order_factory.market(KIND.instrument_id, OrderSide.BUY, Quantity(1.0, 3))
            self.submit_order(order)

    def on_order_event(self, event: Any) -> None:
        name = type(event).__name__
        if name == "OrderPendingCancel":
            try:
                _ = self.cache
            except RuntimeError as error:
                self.sync_errors.append(str(error))
        if name != "OrderFilled":
            return
        self.fills.append((event.last_px.as_double(), event.ts_event - T0))
        if event.is_buy:
            rest = {"instrument_id": KIND.instrument_id, "order_side": OrderSide.SELL, "quantity": event.last_qty}
            self.submit_order(self.order_factory.stop_market(**rest, trigger_price=Price(99.0, 2), reduce_only=True))
            self.submit_order(self.order_factory.limit(**rest, price=Price(102.0, 2), reduce_only=True))
        else:
            self.cancel_all_orders(KIND.instrument_id)


def run(*rows: tuple[float, float, float, float]) -> Buyer:
    engine = venue.make_engine(EXACT, {A: MarketRules(2, 3)}, venue="binance")
    bars = [
        Bar(KIND, *(Price(p, 2) for p in row), Quantity(1e6, 3), T0 + n * MINUTE, T0 + n * MINUTE)
        for n, row in enumerate(rows)
    ]
    buyer = Buyer(StrategyConfig())
    engine.add_data(bars)
    engine.add_strategy(buyer)
    engine.run()
    engine.dispose()
    return buyer


def test_it_is_the_version_that_was_measured() -> None:
    assert __version__ == "2.0.0rc7"


def test_an_order_with_latency_fills_at_the_close_of_the_next_bar() -> None:
    buyer = run((100, 100, 100, 100), (101, 103, 100, 102), (102, 102, 102, 102))
    assert buyer.fills[0] == (102.0, MINUTE)  # a whole bar late: hence the slices at the open


def test_without_latency_it_would_fill_inside_the_bar_that_triggered_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venue, "StaticLatencyModel", lambda **_: StaticLatencyModel())
    assert run((100, 105, 95, 100), (101, 101, 101, 101)).fills[0] == (100.0, 0)


def test_a_bar_that_touches_both_barriers_hits_the_high_first() -> None:
    flat = (100.0, 100.0, 100.0, 100.0)
    buyer = run(flat, flat, flat, (100, 103, 98, 100), flat)
    assert [price for price, _ in buyer.fills] == [100.0, 102.0]  # hence the slices: low before high


def test_a_stop_fills_at_its_trigger_inside_a_bar_and_at_the_open_after_a_gap() -> None:
    flat = (100.0, 100.0, 100.0, 100.0)
    assert run(flat, flat, flat, (100, 100, 98, 98.5)).fills[1][0] == 99.0
    assert run(flat, flat, flat, (97, 98, 96, 97)).fills[1][0] == 97.0


def test_an_event_inside_our_own_cancel_finds_the_strategy_borrowed() -> None:
    flat = (100.0, 100.0, 100.0, 100.0)
    buyer = run(flat, flat, flat, (100, 103, 100, 103), flat)
    assert buyer.sync_errors == ["Already mutably borrowed"]  # hence the strategy's queue of events


def test_a_backtest_leaves_nothing_to_free_that_another_thread_must_not_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[Any] = []
    gc.collect()  # what other tests left
    gc.disable()  # the collector's moment is ours
    try:
        assert backtest(random_signals(A, 600, seed=1), {A: walk(600, seed=1)}).bars
        monkeypatch.setattr(sys, "unraisablehook", refused.append)
        other = threading.Thread(target=gc.collect)
        other.start()
        other.join()
    finally:
        gc.enable()
    assert [one.exc_value for one in refused] == []
