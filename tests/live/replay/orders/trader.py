"""NautilusTrader's own adapter at the local exchange, and a strategy that does what a test tells it."""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from nautilus_trader.adapters.binance import (
    BinanceDataClientConfig,
    BinanceDataClientFactory,
    BinanceEnvironment,
    BinanceExecutionClientConfig,
    BinanceExecutionClientFactory,
    BinanceProductType,
)
from nautilus_trader.adapters.bybit import (
    BybitDataClientConfig,
    BybitDataClientFactory,
    BybitEnvironment,
    BybitExecutionClientConfig,
    BybitExecutionClientFactory,
    BybitProductType,
)
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import AccountId, ClientOrderId, InstrumentId, OrderSide, TraderId
from nautilus_trader.trading import Strategy

from trading_live.replay import ReplayServer
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET

SYNA = InstrumentId.from_str("SYNAUSDT-PERP.BINANCE")
SYNA_BYBIT = InstrumentId.from_str("SYNAUSDT-LINEAR.BYBIT")
PATIENCE_S = 300.0


class Hands(Strategy):
    """Does in the engine's thread what the test asks for; the engine's objects belong to that thread."""

    def __new__(cls, _trader: Trader) -> Hands:
        return super().__new__(cls)

    def __init__(self, trader: Trader) -> None:
        super().__init__()
        self._trader = trader

    def on_start(self) -> None:
        self.clock.set_timer("hands", timedelta(milliseconds=10), callback=self._work)
        self._trader.ready.set()

    def _work(self, _event: Any) -> None:
        while not self._trader.asked.empty():
            self._trader.asked.get()(self)

    def on_order_event(self, event: Any) -> None:
        self._trader.events.append((str(event.client_order_id), type(event).__name__, event))


class Trader:
    """What the test asks for, and what came of it.

    Attributes
    ----------
    events
        Order, name and event, oldest first.
    """

    def __init__(self, instrument: InstrumentId) -> None:
        self.instrument = instrument
        self.asked: queue.SimpleQueue[Callable[[Any], Any]] = queue.SimpleQueue()
        self.events: list[tuple[str, str, Any]] = []
        self.ready = threading.Event()

    def do(self, what: Callable[[Hands], Any]) -> Any:
        """Do something in the engine's thread; what came of it."""
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def work(hands: Hands) -> None:
            try:
                answer.put(what(hands))
            except BaseException as error:
                answer.put(error)

        self.asked.put(work)
        found = answer.get(timeout=PATIENCE_S)
        if isinstance(found, BaseException):
            raise found
        return found

    def market(self, quantity: float, *, reduce_only: bool = False) -> str:
        """Send an order at the market: buy where the quantity is positive."""

        def send(hands: Hands) -> str:
            instrument = hands.cache.instrument(self.instrument)
            order = hands.order_factory.market(
                self.instrument, _side(quantity), instrument.make_qty(abs(quantity)), reduce_only=reduce_only
            )
            hands.submit_order(order)
            return str(order.client_order_id)

        return str(self.do(send))

    def limit(self, quantity: float, price: float, *, reduce_only: bool = False, post_only: bool = False) -> str:
        """Send a limit order."""

        def send(hands: Hands) -> str:
            instrument = hands.cache.instrument(self.instrument)
            order = hands.order_factory.limit(
                self.instrument,
                _side(quantity),
                instrument.make_qty(abs(quantity)),
                instrument.make_price(price),
                reduce_only=reduce_only,
                post_only=post_only,
            )
            hands.submit_order(order)
            return str(order.client_order_id)

        return str(self.do(send))

    def stop(self, quantity: float, trigger: float) -> str:
        """Send a reduce-only stop at the market."""

        def send(hands: Hands) -> str:
            instrument = hands.cache.instrument(self.instrument)
            order = hands.order_factory.stop_market(
                self.instrument,
                _side(quantity),
                instrument.make_qty(abs(quantity)),
                instrument.make_price(trigger),
                reduce_only=True,
            )
            hands.submit_order(order)
            return str(order.client_order_id)

        return str(self.do(send))

    def cancel(self, order_id: str) -> None:
        """Cancel an order."""
        self.do(lambda hands: hands.cancel_order(ClientOrderId(order_id)))

    def status(self, order_id: str) -> str:
        """Of an order, as the engine sees it."""
        return str(self.do(lambda hands: _status(hands, order_id)))

    def held(self) -> float:
        """The net position, as the engine sees it."""
        return float(self.do(lambda hands: float(str(hands.portfolio.net_position(self.instrument)))))

    def seen(self, order_id: str) -> list[str]:
        """The events of an order."""
        return [name for one, name, _ in self.events if one == order_id]

    def until(self, what: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        """Wait until something is truthy."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.02)
        raise AssertionError(f"waited in vain; events: {[event[:2] for event in self.events]}")

    def becomes(self, order_id: str, status: str, seconds: float = PATIENCE_S) -> None:
        """Wait for the status of an order."""
        self.until(lambda: self.status(order_id) == status, seconds)


def _side(quantity: float) -> OrderSide:
    return OrderSide.BUY if quantity > 0 else OrderSide.SELL


def _status(hands: Hands, order_id: str) -> str:
    order = hands.cache.order(ClientOrderId(order_id))
    return "UNKNOWN" if order is None else str(order.status).rsplit(".", 1)[-1]


def entered_and_protected(trader: Trader, server: ReplayServer) -> tuple[str, float]:
    """Buy ten, protect them, withdraw target and farther stop again: the stop that is left, and the price."""
    entry = trader.market(10.0)
    trader.becomes(entry, "FILLED")
    assert trader.held() == 10
    price = float(server.account.fills[-1].price)
    stop, far = trader.stop(-10.0, round(price * 0.999, 2)), trader.stop(-10.0, round(price * 0.9, 2))
    target = trader.limit(-10.0, round(price * 1.1, 2), reduce_only=True)
    for order in (stop, far, target):
        trader.becomes(order, "ACCEPTED")
    for order in (far, target):
        trader.cancel(order)
        trader.becomes(order, "CANCELED")
    return stop, price


def trade[T](
    server: ReplayServer,
    script: Callable[[Trader], T],
    *,
    engine: LiveExecutionEngineConfig | None = None,
    venue: Literal["binance", "bybit"] = "binance",
) -> T:
    """Run an engine at the local exchange in this thread, which must be the main one, and the script in another.

    Parameters
    ----------
    server
        Where it trades.
    script
        What it does; the engine stops when it ends.
    engine
        Other settings of its execution.
    venue
        Whose adapter.
    """
    gc.collect()  # an engine of an earlier test that lies in a cycle: a thread holds one at a time
    return run(_node(server, engine, venue), Trader(SYNA if venue == "binance" else SYNA_BYBIT), script)


def run[T, R: Trader](node: LiveNode, told: R, script: Callable[[R], T], *, claims: bool = False) -> T:
    """Run an engine that is built, as :func:`trade` does; with ``claims``, what it finds is the strategy's."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    hands = Hands(told)
    node.add_strategy(hands)
    if claims:
        hands.set_external_order_instrument_ids([told.instrument])
    handle = node.handle()

    def work() -> None:
        try:
            assert told.ready.wait(PATIENCE_S), "the engine did not start"
            answers.put((True, script(told)))
        except BaseException as error:
            answers.put((False, error))
        finally:
            handle.stop()

    thread = threading.Thread(target=work, name="script", daemon=True)
    thread.start()
    try:
        node.run()
        thread.join(PATIENCE_S)
        done, found = answers.get(timeout=PATIENCE_S)
    finally:
        node.dispose()
    if not done:
        raise found
    result: T = found
    return result


def _node(server: ReplayServer, engine: LiveExecutionEngineConfig | None, venue: str) -> LiveNode:
    data, execution = (_binance if venue == "binance" else _bybit)(server)
    builder = (
        LiveNode.builder("TEST", TraderId("TRADER-001"), Environment.LIVE)
        .with_logging(LoggerConfig(stdout_level=LogLevel.WARNING))
        .with_timeout_connection(60)
        .with_timeout_disconnection_secs(10)
        .with_risk_engine_config(LiveRiskEngineConfig(bypass=True))  # it wants a quote before an order at the market
        .with_delay_post_stop_secs(0)
        .add_data_client(None, *data)
        .add_exec_client(None, *execution)
    )
    return (builder.with_exec_engine_config(engine) if engine else builder).build()


def _binance(server: ReplayServer) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    common: dict[str, Any] = {
        "product_type": BinanceProductType.USD_M,
        "environment": BinanceEnvironment.LIVE,
        "base_url_http": server.url_http,
        "base_url_ws": server.url_ws,
    }
    execution = BinanceExecutionClientConfig(
        account_id=AccountId("BINANCE-001"),
        use_ws_trading=False,
        use_position_ids=False,
        api_key=REHEARSAL_KEY,
        api_secret=REHEARSAL_SECRET,
        **common,
    )
    return (BinanceDataClientFactory(), BinanceDataClientConfig(**common)), (BinanceExecutionClientFactory(), execution)


def _bybit(server: ReplayServer) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    address = server.url_ws.removesuffix("/ws")
    common: dict[str, Any] = {
        "product_types": [BybitProductType.LINEAR],
        "environment": BybitEnvironment.MAINNET,
        "base_url_http": server.url_http,
        "base_url_ws_private": f"{address}/v5/private",
        "api_key": REHEARSAL_KEY,
        "api_secret": REHEARSAL_SECRET,
    }
    data = BybitDataClientConfig(base_url_ws_public=f"{address}/v5/public/linear", **common)
    execution = BybitExecutionClientConfig(
        account_id=AccountId("BYBIT-001"), base_url_ws_trade=f"{address}/v5/trade", **common
    )
    return (BybitDataClientFactory(), data), (BybitExecutionClientFactory(), execution)


__all__ = ["SYNA", "Hands", "Trader", "entered_and_protected", "run", "trade"]
