"""How Bybit writes orders, executions, positions and the wallet; REST and private stream write them alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.filters import Filters
from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.margin import isolated_margin, liquidation_price
from trading_live.replay.orders.exchange.model import MAINTENANCE, MAX_LEVERAGE, ZERO, Conditional, Fill, Order
from trading_live.replay.orders.writing import ASSET, money, text

SIDES: Final = {"BUY": "Buy", "SELL": "Sell"}
INDEX: Final = {"BOTH": 0, "LONG": 1, "SHORT": 2}
_STATUS: Final = {
    "NEW": "New",
    "PARTIALLY_FILLED": "PartiallyFilled",
    "FILLED": "Filled",
    "CANCELED": "Cancelled",
    "EXPIRED": "Cancelled",
    "REJECTED": "Rejected",
}
_WAITING: Final = {"NEW": "Untriggered", "TRIGGERING": "Triggered", "TRIGGERED": "Triggered", "REJECTED": "Rejected"}
_TIMES: Final = {"GTX": "PostOnly"}


def order(exchange: Exchange, one: Order) -> dict[str, Any]:
    """An order in the book; one that waited for its price keeps its first number."""
    waited = exchange.conditionals.get(one.parent) if one.parent is not None else None
    ended = "" if one.status != "EXPIRED" else "CancelByReduceOnly" if one.reduce_only else "CancelByPrepareOrderOther"
    told = {
        "orderId": str(one.id if one.parent is None else one.parent),
        "orderStatus": _STATUS[one.status],
        "cancelType": "CancelByUser" if one.status == "CANCELED" else ended,
        "avgPrice": text(one.average) if one.filled else "",
        "leavesQty": text(one.rest if one.open else ZERO),
        "leavesValue": text(one.rest * one.price if one.open else ZERO),
        "cumExecQty": text(one.filled),
        "cumExecValue": text(one.spent),
        "cumExecFee": money(one.fees),
        "orderType": "Market" if one.kind == "MARKET" else "Limit",
    }
    return _common(one) | told | _trigger(waited)


def waiting(one: Conditional) -> dict[str, Any]:
    """An order that waits for its price, or ended while it did."""
    told = {
        "orderId": str(one.id),
        "orderStatus": _WAITING.get(one.status, "Deactivated"),
        "cancelType": "CancelByUser" if one.status == "CANCELED" else "",
        "rejectReason": one.reason and "EC_ReduceOnlyRule",
        "avgPrice": "",
        "leavesQty": text(one.quantity if one.open else ZERO),
        "leavesValue": "0",
        "cumExecQty": "0",
        "cumExecValue": "0",
        "cumExecFee": "0",
        "orderType": "Limit" if one.limited else "Market",
    }
    return _common(one) | told | _trigger(one)


def execution(exchange: Exchange, one: Fill) -> dict[str, Any]:
    """A fill."""
    made = exchange.orders[one.order_id]
    value = one.quantity * one.price
    return {
        "category": "linear",
        "symbol": one.symbol,
        "orderId": str(made.id if made.parent is None else made.parent),
        "orderLinkId": one.client_id,
        "side": SIDES[one.side],
        "orderPrice": text(made.price),
        "orderQty": text(made.quantity),
        "leavesQty": text(made.rest),
        "createType": "CreateByLiquidate" if one.client_id.startswith("autoclose-") else "CreateByUser",
        "orderType": "Market" if made.kind == "MARKET" else "Limit",
        "stopOrderType": "Stop" if made.parent is not None else "",
        "execFee": money(one.fee),
        "execId": str(one.id),
        "execPrice": text(one.price),
        "execQty": text(one.quantity),
        "execType": "BustTrade" if one.client_id.startswith("autoclose-") else "Trade",
        "execValue": text(value),
        "execTime": str(one.at_ms),
        "feeCurrency": ASSET,
        "isMaker": one.maker,
        "feeRate": text((one.fee / value).quantize(Decimal("1e-6")) if value else ZERO),
        "tradeIv": "",
        "markIv": "",
        "markPrice": text(exchange.prices[one.symbol]),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "0",
        "execPnl": money(one.realized),
        "isLeverage": "0",
        "seq": one.id,
    }


def position(exchange: Exchange, one: Position) -> dict[str, Any]:
    """A position; a flat one has no side."""
    modes, mark = exchange.modes[one.symbol], exchange.prices[one.symbol]
    value = abs(one.quantity) * mark
    others = [other for other in exchange.ledger.held() if other is not one]
    level = (
        liquidation_price(one, others, exchange.ledger.balance, exchange.prices, exchange.modes)
        if one.quantity
        else ZERO
    )
    isolated = modes.margin == "ISOLATED"
    entry, initial, maintenance = text(one.entry), money(value / modes.leverage), money(value * MAINTENANCE)
    return {
        "category": "linear",
        "positionIdx": INDEX[one.side],
        "riskId": 1,
        "riskLimitValue": text(exchange.filters[one.symbol].max_position),
        "symbol": one.symbol,
        "side": "" if not one.quantity else "Buy" if one.quantity > 0 else "Sell",
        "size": text(abs(one.quantity)),
        "avgPrice": entry,
        "entryPrice": entry,
        "positionValue": text(abs(one.cost)),
        "tradeMode": int(isolated),
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 0,
        "leverage": str(modes.leverage),
        "positionBalance": money(isolated_margin(one, modes) if isolated else ZERO),
        "markPrice": text(mark),
        "liqPrice": text(level.quantize(Decimal("1e-8"))) if level else "",
        "bustPrice": "",
        "positionIM": initial,
        "positionMM": maintenance,
        "positionIMByMp": initial,
        "positionMMByMp": maintenance,
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "sessionAvgPrice": "",
        "unrealisedPnl": money(one.unrealized(mark)),
        "curRealisedPnl": money(one.realized),
        "cumRealisedPnl": money(one.realized),
        "seq": 1,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": str(one.updated_ms),
        "updatedTime": str(one.updated_ms),
    }


def wallet(exchange: Exchange) -> dict[str, Any]:
    """The unified account, with its one coin."""
    now = exchange.standing()
    equity, balance = money(now.equity), money(now.wallet)
    margins = {"totalOrderIM": money(now.order_margin), "totalPositionIM": money(now.position_margin)}
    nothing = dict.fromkeys(("borrowAmount", "accruedInterest", "bonus", "locked", "spotBorrow"), "0")
    coin = {
        "coin": ASSET,
        "equity": equity,
        "usdValue": equity,
        "walletBalance": balance,
        "availableToWithdraw": money(now.available),
        "availableToBorrow": "",
        "totalPositionMM": money(now.maintenance),
        "unrealisedPnl": money(now.unrealized),
        "cumRealisedPnl": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
    }
    return {
        "accountType": "UNIFIED",
        "accountIMRate": "0",
        "accountMMRate": "0",
        "accountLTV": "0",
        "totalEquity": equity,
        "totalWalletBalance": balance,
        "totalMarginBalance": equity,
        "totalAvailableBalance": money(now.available),
        "totalPerpUPL": money(now.unrealized),
        "totalInitialMargin": money(now.position_margin + now.order_margin),
        "totalMaintenanceMargin": money(now.maintenance),
        "coin": [coin | margins | nothing],
    }


def instrument(symbol: str, base: str, quote: str, found: Filters) -> dict[str, Any]:
    """One symbol of ``instruments-info``."""
    tick, step = f"{found.tick:f}", f"{found.step:f}"
    sizes = {"maxOrderQty": f"{found.max_quantity:f}", "postOnlyMaxOrderQty": f"{found.max_quantity:f}"}
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading" if found.status == "TRADING" else "Closed",
        "baseCoin": base,
        "quoteCoin": quote,
        "settleCoin": quote,
        "launchTime": "1569398400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(max(-int(found.tick.normalize().as_tuple().exponent), 0)),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": str(MAX_LEVERAGE), "leverageStep": "1"},
        "priceFilter": {"minPrice": tick, "maxPrice": f"{found.max_price:f}", "tickSize": tick},
        "lotSizeFilter": sizes
        | {
            "minOrderQty": step,
            "qtyStep": step,
            "maxMktOrderQty": f"{found.market_max_quantity:f}",
            "minNotionalValue": f"{found.min_notional:f}",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "none",
    }


def _common(one: Order | Conditional) -> dict[str, Any]:
    unset = dict.fromkeys(("takeProfit", "stopLoss", "tpLimitPrice", "slLimitPrice", "blockTradeId", "orderIv"), "")
    return unset | {
        "category": "linear",
        "symbol": one.symbol,
        "orderLinkId": one.client_id,
        "side": SIDES[one.side],
        "price": text(one.price),
        "qty": text(one.quantity),
        "isLeverage": "",
        "positionIdx": INDEX[one.position_side],
        "timeInForce": "IOC" if one.kind in ("MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET") else _time(one),
        "rejectReason": "EC_NoError",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "lastPriceOnCreated": "",
        "reduceOnly": one.reduce_only,
        "closeOnTrigger": one.close_position,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "feeCurrency": "",
        "tpslMode": "Full",
        "createType": "CreateByUser",
        "createdTime": str(one.created_ms),
        "updatedTime": str(one.updated_ms),
    }


def _time(one: Order | Conditional) -> str:
    return _TIMES.get(one.time_in_force, one.time_in_force)


def _trigger(waited: Conditional | None) -> dict[str, Any]:
    if waited is None:
        return {"triggerPrice": "", "triggerDirection": 0, "triggerBy": "", "stopOrderType": ""}
    told = {"triggerPrice": text(waited.trigger), "triggerDirection": 1 if waited.rises else 2}
    return told | {"triggerBy": "LastPrice", "stopOrderType": "Stop"}
