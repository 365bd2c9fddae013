"""A node at a small OKX: its clients as the settings make them, and orders made as the strategies make theirs."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.live import LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import ClientOrderId, InstrumentId, TraderId

from tests.live.replay.orders.trader import Hands, Trader, run
from tests.live.venues.wire.okx_exchange import KEYS, OkxExchange
from trading_assets.exits.plan import ExitPlan
from trading_assets.settings import NodeSettings, Settings, load_settings
from trading_assets.strategies.orders import trade_orders
from trading_assets.strategies.orders.contracts import contracts, size_of
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import Purpose, TradePlan
from trading_live.execution.registry import execution_of
from trading_live.recovery.from_journal import Recovered
from trading_live.venues.account.keys import credential_names
from trading_live.venues.account.open import account_of
from trading_live.venues.registry import venue_of

IDS = OrderIds()
PLAN = ExitPlan.bracket(0.02, 0.01, timedelta(hours=6))
_FIRST = datetime(2025, 1, 1, tzinfo=UTC)


class OkxTrader(Trader):
    """Sends the orders of trades on one market; quantities are in base units."""

    def __init__(self, exchange: OkxExchange, settings: Settings, market: str) -> None:
        super().__init__(InstrumentId.from_str(venue_of(settings).instrument_id(market)))
        self.exchange = exchange
        self.settings = settings
        self.market_name = market
        self.account = account_of(settings, [market])
        self.reduces = venue_of(settings).matching([market]).reduces
        self._trades, self._sent = itertools.count(1), itertools.count(1)

    def trade(self) -> TradePlan:
        """The plan of another trade, filled at the exchange's price."""
        known = _FIRST + timedelta(hours=next(self._trades))
        entry = IDS.entry(self.market_name, "m-v1", known)
        plan = TradePlan(self.market_name, "m-v1", 0.6, known, known + timedelta(hours=6), PLAN, 0.02, entry)
        return plan.filled(0.02, float(self.exchange.price))

    def enter(self, plan: TradePlan, base: float = 0.02) -> str:
        """Send a market entry, and wait until it is filled."""
        self._send(
            lambda hands: trade_orders.market_entry(
                hands.order_factory,
                self.instrument,
                plan.side,
                "m-v1",
                self._quantity(hands, base),
                plan.entry_order_id,
            )
        )
        return plan.entry_order_id

    def protect(self, plan: TradePlan, base: float = 0.02) -> str:
        """Send a stop."""
        order_id = self._next(plan, "stop_loss")
        self._send(
            lambda hands: trade_orders.stop_loss(
                hands.order_factory,
                hands.cache.instrument(self.instrument),
                plan,
                self._quantity(hands, base),
                order_id,
                reduce_only=self.reduces,
            )
        )
        return order_id

    def aim(self, plan: TradePlan, base: float = 0.01) -> str:
        """Send a target."""
        order_id = self._next(plan, "take_profit")
        self._send(
            lambda hands: trade_orders.take_profit(
                hands.order_factory,
                hands.cache.instrument(self.instrument),
                plan,
                31_000.0,
                self._quantity(hands, base),
                order_id,
                reduce_only=self.reduces,
            )
        )
        return order_id

    def leave(self, plan: TradePlan, base: float = 0.02) -> str:
        """Send a market exit."""
        order_id = self._next(plan, "exit")
        self._send(
            lambda hands: trade_orders.market_exit(
                hands.order_factory,
                self.instrument,
                plan,
                self._quantity(hands, base),
                order_id,
                reduce_only=self.reduces,
            )
        )
        return order_id

    def query(self, order_id: str) -> None:
        """Have the engine ask for an order."""
        self.do(lambda hands: hands.query_order(hands.cache.order(ClientOrderId(order_id))))

    def reason(self, order_id: str) -> str:
        """Why an order was refused, in the engine's words."""
        return next(str(event.reason) for one, _, event in self.events if one == order_id and hasattr(event, "reason"))

    def fills(self, order_id: str) -> list[tuple[float, float, float, str]]:
        """Quantity, price, fee and its coin of an order's fills, as the engine has them."""
        found = [event for one, name, event in self.events if (one, name) == (order_id, "OrderFilled")]
        return [
            (float(e.last_qty), float(e.last_px), float(e.commission.as_double()), e.commission.currency.code)
            for e in found
        ]

    def _next(self, plan: TradePlan, purpose: Purpose) -> str:
        return IDS.next(replace(plan, sent=next(self._sent)), purpose)[1]

    def _send(self, make: Callable[[Hands], object]) -> None:
        self.do(lambda hands: hands.submit_order(make(hands)))

    def _quantity(self, hands: Hands, base: float) -> object:
        instrument = hands.cache.instrument(self.instrument)
        return instrument.make_qty(contracts(base, size_of(instrument)))


def trade_at_okx[T](folder: Path, market: str, script: Callable[[OkxTrader], T], **settings_of_node: object) -> T:
    """Run a script at a small OKX of its own."""
    with OkxExchange() as exchange:
        return trade_at(exchange, folder, market, script, **settings_of_node)


def trade_at[T](
    exchange: OkxExchange, folder: Path, market: str, script: Callable[[OkxTrader], T], **settings_of_node: object
) -> T:
    """Run a script, in the demo unless told otherwise; what the engine finds is the strategy's, as a node's is."""
    gc.collect()  # an engine of an earlier test that lies in a cycle
    names = credential_names("okx", "perpetual", "testnet")
    with patch.dict(os.environ, dict(zip(names, KEYS.values, strict=True))):
        at = {"venue": "okx", "environment": "testnet", "mode": "live", **settings_of_node}
        node = NodeSettings.model_validate(at | {"base_url_http": exchange.url_http, "base_url_ws": exchange.url_ws})
        settings = load_settings(data_dir=folder).model_copy(update={"node": node})
        trader = OkxTrader(exchange, settings, market)
        return run(_node(settings, trader), trader, script, claims=True)


def _node(settings: Settings, trader: OkxTrader) -> LiveNode:
    venue = venue_of(settings)
    execution, data = execution_of(settings, venue), venue.data_client([trader.market_name])
    builder = (
        LiveNode.builder("TEST", TraderId("TRADER-001"), execution.environment)
        .with_logging(LoggerConfig(stdout_level=LogLevel.ERROR))
        .with_timeout_connection(60)
        .with_timeout_disconnection_secs(10)
        .with_risk_engine_config(LiveRiskEngineConfig(bypass=True))  # it wants a quote before an order at the market
        .with_delay_post_stop_secs(0)
        .add_data_client(None, data.factory, data.config)
    )
    node: LiveNode = execution.join(builder, {trader.market_name: trader.instrument}, Recovered()).build()
    return node
