"""The engine with Kraken's adapter as the project configures it, and our own orders through it."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.live import LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import ClientOrderId, InstrumentId, TraderId

from tests.live.replay.orders.trader import PATIENCE_S, Hands, Trader
from tests.live.venues.wire.kraken_venue import KrakenVenue
from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.matching import AT_VENUE_SPOT
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import Purpose, TradePlan
from trading_assets.strategies.risk.gate import engine_order_rate
from trading_live.execution.at_venue import AtVenue
from trading_live.recovery.from_journal import Recovered
from trading_live.venues.registry import venue_of

MARKET = "kraken:BTC/USD"
IDS = OrderIds()
NOW = datetime(2025, 1, 1, tzinfo=UTC)
EXITS = ExitPlan.bracket(0.04, 0.033, timedelta(hours=6))


def settings_at(venue: KrakenVenue, settings: Settings) -> Settings:
    """A node that trades there."""
    node = {"venue": "kraken", "environment": "live", "mode": "live"}
    addresses = {"base_url_http": venue.url, "base_url_ws": f"{venue.url.replace('http', 'ws')}/v2"}
    return settings.model_copy(update={"node": NodeSettings.model_validate(node | addresses)})


class Desk(Trader):
    """Sends the orders of a trade, as the strategy makes them on spot."""

    def __init__(self) -> None:
        super().__init__(InstrumentId.from_str("BTC/USD.KRAKEN"))
        self.plan = self.another("m-v1")

    @staticmethod
    def another(signal: str) -> TradePlan:
        entry = IDS.entry(MARKET, signal, NOW)
        plan = TradePlan(MARKET, signal, 0.6, NOW, NOW + timedelta(hours=6), EXITS, 0.1, entry, sent=1)
        return replace(plan, stop_price=29000.04, entry_price=30000.0)

    def enter(self, signal: str = "m-v1", quantity: float = 0.1) -> str:
        self.plan, entry = self.another(signal), self.another(signal).entry_order_id
        self._send(
            lambda factory, one: trade_orders.market_entry(
                factory, one.id, Side.LONG, signal, one.make_qty(quantity), entry
            )
        )
        return entry

    def protect(self) -> str:
        stop = self._next("stop_loss")
        self._send(
            lambda factory, one: trade_orders.stop_loss(
                factory, one, self.plan, one.make_qty(0.1), stop, reduce_only=AT_VENUE_SPOT.reduces
            )
        )
        return stop

    def target(self, price: float) -> str:
        target = self._next("take_profit")
        self._send(
            lambda factory, one: trade_orders.take_profit(
                factory, one, self.plan, price, one.make_qty(0.1), target, reduce_only=AT_VENUE_SPOT.reduces
            )
        )
        return target

    def exit(self, quantity: float = 0.1) -> str:
        order = self._next("exit")
        self._send(
            lambda factory, one: trade_orders.market_exit(
                factory, one.id, self.plan, one.make_qty(quantity), order, reduce_only=AT_VENUE_SPOT.reduces
            )
        )
        return order

    def hear_prices(self) -> None:
        """The engine sends nothing at the market before it has one."""
        self.do(lambda hands: hands.subscribe_quotes(self.instrument))
        self.until(lambda: self.do(lambda hands: hands.cache.quote_count(self.instrument)))

    def withdraw(self, order_id: str) -> None:
        self.cancel(order_id)
        self.becomes(order_id, "CANCELED")

    def of(self, order_id: str, name: str) -> list[Any]:
        """The events of a name that an order had."""
        return [event for one, kind, event in self.events if one == order_id and kind == name]

    def order(self, order_id: str) -> Any:
        """As the engine has it: type, trigger price, quantity and venue's id."""

        def look(hands: Hands) -> Any:
            one = hands.cache.order(ClientOrderId(order_id))
            return one and (one.order_type.name, str(one.trigger_price), float(one.quantity), str(one.venue_order_id))

        return self.do(look)

    def _next(self, purpose: Purpose) -> str:
        self.plan, order_id = IDS.next(self.plan, purpose)
        return order_id

    def _send(self, make: Callable[[Any, Any], Any]) -> None:
        def send(hands: Hands) -> None:
            hands.submit_order(make(hands.order_factory, hands.cache.instrument(self.instrument)))

        self.do(send)


def at_kraken(settings: Settings, script: Callable[[Desk], None], recovered: Recovered | None = None) -> None:
    """Run the engine in this thread, which must be the main one, and a script in another."""
    desk, failed = Desk(), queue.SimpleQueue[BaseException]()
    gc.collect()  # an engine of an earlier test that lies in a cycle: a thread holds one at a time
    venue, instruments = venue_of(settings), {MARKET: desk.instrument}
    data = venue.data_client([MARKET])
    builder = (
        LiveNode.builder("TEST", TraderId("TRADER-001"), Environment.LIVE)
        .with_logging(LoggerConfig(bypass_logging=True))
        .with_timeout_connection(60)
        .with_timeout_disconnection_secs(10)
        .with_risk_engine_config(LiveRiskEngineConfig(max_order_submit_rate=engine_order_rate(1)))
        .with_delay_post_stop_secs(0)
        .add_data_client(None, data.factory, data.config)
    )
    node = AtVenue(settings, venue).join(builder, instruments, recovered or Recovered()).build()
    hands = Hands(desk)
    node.add_strategy(hands)
    hands.set_external_order_instrument_ids([desk.instrument])
    handle = node.handle()

    def run() -> None:
        try:
            assert desk.ready.wait(PATIENCE_S), "the engine did not start"
            desk.hear_prices()
            script(desk)
        except BaseException as error:
            failed.put(error)
        finally:
            handle.stop()

    thread = threading.Thread(target=run, name="script", daemon=True)
    thread.start()
    try:
        node.run()
        thread.join(PATIENCE_S)
    finally:
        node.dispose()
    if not failed.empty():
        raise failed.get()
