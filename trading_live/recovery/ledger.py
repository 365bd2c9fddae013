"""Tells the engine at a start what the journal says is held: the way a real venue would, by reconciliation.

The sandbox forgets everything when its process ends. This client trades nothing; asked for its status, it reports the
open positions with the fills that made them, so that the engine has them again with their true prices and fees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.live import ExecutionClientConfig
from nautilus_trader.live.clients import ExecutionClient, ExecutionClientFactory
from nautilus_trader.model import (
    AccountId,
    AccountType,
    ClientOrderId,
    Currency,
    ExecutionMassStatus,
    FillReport,
    InstrumentId,
    LiquiditySide,
    Money,
    OmsType,
    OrderSide,
    OrderStatus,
    OrderStatusReport,
    OrderType,
    PositionSide,
    PositionStatusReport,
    TimeInForce,
    TradeId,
    Venue,
    VenueOrderId,
)

from trading_assets.core.candles import Market
from trading_assets.strategies.instruments import nanoseconds
from trading_assets.strategies.orders.contracts import contracts, size_of
from trading_live.recovery.from_journal import Fill, Holding

NAME: Final = "JOURNAL"


class JournalLedger(ExecutionClient):
    """The execution client that only reports; its venue is its own name, so that no order is routed to it."""

    holdings: Sequence[Holding] = ()
    instruments: Mapping[str, InstrumentId] = {}
    venue_account: AccountId

    async def _connect(self) -> None:
        pass

    async def _disconnect(self) -> None:
        pass

    def _handles_order_venue(self, venue: Venue | None) -> bool:
        return False

    async def _generate_mass_status(self, lookback_mins: int | None) -> ExecutionMassStatus:
        status = ExecutionMassStatus(self.client_id, self.venue_account, Venue(NAME), self.clock.timestamp_ns())
        for holding in self.holdings:
            instrument = self.cache.instrument(self.instruments[holding.market])
            if instrument is None:
                continue  # the supervisor refuses a market that the venue does not have
            orders, fills, position = reports(holding, instrument, self.venue_account)
            status.add_order_reports(orders)
            status.add_fill_reports(fills)
            status.add_position_reports([position])
        return status


def ledger_factory(
    holdings: Sequence[Holding], instruments: Mapping[str, InstrumentId], account: AccountId
) -> tuple[ExecutionClientFactory, ExecutionClientConfig]:
    """Factory and configuration for the node's builder."""

    class Factory(ExecutionClientFactory):
        @staticmethod
        def create(**context: Any) -> JournalLedger:
            client = JournalLedger(
                **context,
                venue=Venue(NAME),
                account_id=account,
                account_type=AccountType.MARGIN,
                oms_type=OmsType.NETTING,
            )
            client.holdings, client.instruments, client.venue_account = holdings, instruments, account
            return client

    return Factory(), ExecutionClientConfig()


def reports(
    holding: Holding, instrument: Any, account: AccountId
) -> tuple[list[OrderStatusReport], list[FillReport], PositionStatusReport]:
    """A holding as the engine's reports: each of its orders as far as it was filled, its fills, and the position."""
    orders: dict[str, list[Fill]] = {}
    for fill in holding.fills:
        orders.setdefault(fill.order_id, []).append(fill)
    newest = nanoseconds(holding.fills[-1].ts)
    position = PositionStatusReport(
        account,
        instrument.id,
        PositionSide.LONG if holding.quantity > 0 else PositionSide.SHORT,
        _quantity(instrument, abs(holding.quantity)),
        newest,
        newest,
        avg_px_open=Decimal(str(holding.average_price)),
    )
    status = [_order(order_id, fills, instrument, account) for order_id, fills in orders.items()]
    return status, [_fill(fill, holding.market, instrument, account) for fill in holding.fills], position


def _order(order_id: str, fills: Sequence[Fill], instrument: Any, account: AccountId) -> OrderStatusReport:
    quantity = sum(fill.quantity for fill in fills)
    price = sum(fill.quantity * fill.price for fill in fills) / quantity
    first, last = nanoseconds(fills[0].ts), nanoseconds(fills[-1].ts)
    return OrderStatusReport(
        account,
        instrument.id,
        VenueOrderId(f"{NAME}-{order_id}"),
        _side(fills[0]),
        OrderType.MARKET,
        TimeInForce.GTC,
        OrderStatus.FILLED,
        _quantity(instrument, quantity),
        _quantity(instrument, quantity),
        first,
        last,
        last,
        client_order_id=ClientOrderId(order_id),
        avg_px=Decimal(str(price)),
    )


def _fill(fill: Fill, market: str, instrument: Any, account: AccountId) -> FillReport:
    ts = nanoseconds(fill.ts)
    return FillReport(
        account,
        instrument.id,
        VenueOrderId(f"{NAME}-{fill.order_id}"),
        TradeId(fill.trade_id),
        _side(fill),
        _quantity(instrument, fill.quantity),
        instrument.make_price(fill.price),
        Money(fill.fee, Currency.from_str(fill.fee_currency or Market.parse(market).quote)),
        LiquiditySide.TAKER,
        ts,
        ts,
        client_order_id=ClientOrderId(fill.order_id),
    )


def _quantity(instrument: Any, base: float) -> Any:
    return instrument.make_qty(contracts(base, size_of(instrument)))


def _side(fill: Fill) -> OrderSide:
    return OrderSide.BUY if fill.side == "buy" else OrderSide.SELL
