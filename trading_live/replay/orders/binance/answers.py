"""How Binance's signed resources answer: orders, trades, account, positions, income. Values in, JSON objects out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.margin import isolated_margin, liquidation_price
from trading_live.replay.orders.exchange.model import MAINTENANCE, MAX_LEVERAGE, ZERO, Conditional, Fill, Order, Payment
from trading_live.replay.orders.writing import ASSET, money, text

_INCOME: Final = {
    "transfer": "TRANSFER",
    "realized": "REALIZED_PNL",
    "fee": "COMMISSION",
    "funding": "FUNDING_FEE",
    "insurance": "INSURANCE_CLEAR",
}


def order(one: Order) -> dict[str, Any]:
    """Of ``/fapi/v1/order``, ``openOrders`` and ``allOrders``."""
    return {
        "orderId": one.id,
        "symbol": one.symbol,
        "status": one.status,
        "clientOrderId": one.client_id,
        "price": text(one.price),
        "avgPrice": text(one.average),
        "origQty": text(one.quantity),
        "executedQty": text(one.filled),
        "cumQty": text(one.filled),
        "cumQuote": text(one.spent),
        "timeInForce": one.time_in_force,
        "type": one.kind,
        "reduceOnly": one.reduce_only,
        "closePosition": one.close_position,
        "side": one.side,
        "positionSide": one.position_side,
        "stopPrice": text(one.stop_price),
        "workingType": one.working_type,
        "priceProtect": False,
        "origType": one.origin or one.kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": one.created_ms,
        "updateTime": one.updated_ms,
    }


def conditional(one: Conditional, ended: Order | None) -> dict[str, Any]:
    """Of ``/fapi/v1/algoOrder``, ``openAlgoOrders`` and ``allAlgoOrders``; with the order that it became, if any."""
    return {
        "algoId": one.id,
        "clientAlgoId": one.client_id,
        "algoType": "CONDITIONAL",
        "orderType": one.kind,
        "symbol": one.symbol,
        "side": one.side,
        "positionSide": one.position_side,
        "timeInForce": one.time_in_force,
        "quantity": text(one.quantity),
        "algoStatus": one.status,
        "actualOrderId": "" if one.order_id is None else str(one.order_id),
        "actualPrice": text(ended.average) if ended else "0",
        "actualQty": text(ended.filled) if ended else "0",
        "triggerPrice": text(one.trigger),
        "price": text(one.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": one.working_type,
        "priceMatch": "NONE",
        "closePosition": one.close_position,
        "priceProtect": False,
        "reduceOnly": one.reduce_only,
        "createTime": one.created_ms,
        "updateTime": one.updated_ms,
        "triggerTime": one.triggered_ms,
        "goodTillDate": 0,
    }


def trade(one: Fill) -> dict[str, Any]:
    """Of ``/fapi/v1/userTrades``."""
    return {
        "symbol": one.symbol,
        "id": one.id,
        "orderId": one.order_id,
        "side": one.side,
        "price": text(one.price),
        "qty": text(one.quantity),
        "quoteQty": text(one.quantity * one.price),
        "realizedPnl": money(one.realized),
        "marginAsset": ASSET,
        "commission": money(one.fee),
        "commissionAsset": ASSET,
        "time": one.at_ms,
        "positionSide": one.position_side,
        "buyer": one.side == "BUY",
        "maker": one.maker,
    }


def income(one: Payment) -> dict[str, Any]:
    """Of ``/fapi/v1/income``."""
    return {
        "symbol": one.symbol,
        "incomeType": _INCOME[one.kind],
        "income": money(one.amount),
        "asset": ASSET,
        "time": one.at_ms,
        "info": _INCOME[one.kind],
        "tranId": one.id,
        "tradeId": "" if one.trade_id is None else one.trade_id,
    }


def account(exchange: Exchange, now_ms: int, version: int) -> dict[str, Any]:
    """Of ``/fapi/v2/account`` and ``/fapi/v3/account``, which leaves out what is not held."""
    now = exchange.standing()
    positions = [account_position(exchange, one) for one in _positions(exchange, all_of_them=version < 3)]
    totals = {
        "totalInitialMargin": now.position_margin + now.order_margin,
        "totalMaintMargin": now.maintenance,
        "totalWalletBalance": now.wallet,
        "totalUnrealizedProfit": now.unrealized,
        "totalMarginBalance": now.equity,
        "totalPositionInitialMargin": now.position_margin,
        "totalOpenOrderInitialMargin": now.order_margin,
        "totalCrossWalletBalance": now.wallet,
        "totalCrossUnPnl": now.unrealized,
        "availableBalance": now.available,
        "maxWithdrawAmount": now.available,
    }
    rights = {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }
    told = {name: money(value) for name, value in totals.items()}
    return rights | told | {"assets": [_asset(exchange, now_ms)], "positions": positions}


def balance(exchange: Exchange, now_ms: int) -> list[dict[str, Any]]:
    """Of ``/fapi/v2/balance``."""
    asset = _asset(exchange, now_ms)
    kept = ("asset", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount", "marginAvailable")
    told = {name: asset[name] for name in kept}
    return [{"accountAlias": "rehearsal", "balance": asset["walletBalance"], "updateTime": now_ms} | told]


def positions(exchange: Exchange, symbol: str | None, version: int) -> list[dict[str, Any]]:
    """Of ``/fapi/v2/positionRisk``, and of v3, which has neither leverage nor margin mode nor flat positions."""
    found = [one for one in _positions(exchange, all_of_them=version < 3) if symbol in (None, one.symbol)]
    return [_risk(exchange, one, version) for one in found]


def bracket(symbol: str) -> dict[str, Any]:
    """Of ``/fapi/v1/leverageBracket``: one bracket for every size."""
    bounds = {"notionalCap": 10**15, "notionalFloor": 0, "maintMarginRatio": float(MAINTENANCE), "cum": 0.0}
    return {"symbol": symbol, "brackets": [{"bracket": 1, "initialLeverage": MAX_LEVERAGE} | bounds]}


def configuration(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """Of ``/fapi/v1/symbolConfig``."""
    modes = exchange.modes[symbol]
    told = {"symbol": symbol, "marginType": modes.margin, "isAutoAddMargin": False}
    return told | {"leverage": modes.leverage, "maxNotionalValue": text(exchange.filters[symbol].max_position)}


def account_position(exchange: Exchange, one: Position) -> dict[str, Any]:
    """A position as ``account`` writes it."""
    modes, mark = exchange.modes[one.symbol], exchange.prices[one.symbol]
    notional = abs(one.quantity) * mark
    return {
        "symbol": one.symbol,
        "initialMargin": money(notional / modes.leverage),
        "maintMargin": money(notional * MAINTENANCE),
        "unrealizedProfit": money(one.unrealized(mark)),
        "positionInitialMargin": money(notional / modes.leverage),
        "openOrderInitialMargin": "0",
        "leverage": str(modes.leverage),
        "isolated": modes.margin == "ISOLATED",
        "entryPrice": text(one.entry),
        "maxNotional": text(exchange.filters[one.symbol].max_position),
        "bidNotional": "0",
        "askNotional": "0",
        "positionSide": one.side,
        "positionAmt": text(one.quantity),
        "notional": money(one.quantity * mark),
        "isolatedWallet": "0",
        "updateTime": one.updated_ms,
    }


def _positions(exchange: Exchange, *, all_of_them: bool) -> list[Position]:
    held = exchange.ledger.held()
    if not all_of_them:
        return held
    known = {(one.symbol, one.side) for one in held}
    side = "LONG" if exchange.hedged else "BOTH"
    flat = [Position(symbol, side) for symbol in exchange.filters if (symbol, side) not in known]  # type: ignore[arg-type]
    return [*held, *flat]


def _asset(exchange: Exchange, now_ms: int) -> dict[str, Any]:
    now = exchange.standing()
    amounts: dict[str, Decimal] = {
        "walletBalance": now.wallet,
        "unrealizedProfit": now.unrealized,
        "marginBalance": now.equity,
        "maintMargin": now.maintenance,
        "initialMargin": now.position_margin + now.order_margin,
        "positionInitialMargin": now.position_margin,
        "openOrderInitialMargin": now.order_margin,
        "crossWalletBalance": now.wallet,
        "crossUnPnl": now.unrealized,
        "availableBalance": now.available,
        "maxWithdrawAmount": now.available,
    }
    told: dict[str, Any] = {name: money(value) for name, value in amounts.items()}
    return {"asset": ASSET} | told | {"marginAvailable": True, "updateTime": now_ms}


def _risk(exchange: Exchange, one: Position, version: int) -> dict[str, Any]:
    modes, mark = exchange.modes[one.symbol], exchange.prices[one.symbol]
    isolated = modes.margin == "ISOLATED"
    margin = isolated_margin(one, modes) if isolated else ZERO
    others = [other for other in exchange.ledger.held() if other is not one]
    level = (
        liquidation_price(one, others, exchange.ledger.balance, exchange.prices, exchange.modes)
        if one.quantity
        else ZERO
    )
    notional = abs(one.quantity) * mark
    told = {
        "symbol": one.symbol,
        "positionSide": one.side,
        "positionAmt": text(one.quantity),
        "entryPrice": text(one.entry),
        "breakEvenPrice": text(one.entry),
        "markPrice": text(mark),
        "unRealizedProfit": money(one.unrealized(mark)),
        "liquidationPrice": text(level.quantize(Decimal("1e-8"))),
        "isolatedMargin": money(margin),
        "notional": money(one.quantity * mark),
        "isolatedWallet": money(margin),
        "updateTime": one.updated_ms,
    }
    if version < 3:
        mode = "isolated" if isolated else "cross"
        return told | {
            "leverage": str(modes.leverage),
            "marginType": mode,
            "maxNotionalValue": text(exchange.filters[one.symbol].max_position),
            "isAutoAddMargin": "false",
            "adlQuantile": 0,
        }
    return told | {
        "marginAsset": ASSET,
        "initialMargin": money(notional / modes.leverage),
        "maintMargin": money(notional * MAINTENANCE),
        "positionInitialMargin": money(notional / modes.leverage),
        "openOrderInitialMargin": "0",
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
    }
