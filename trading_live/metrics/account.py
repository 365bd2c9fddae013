"""Orders, positions and the account of an engine, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from nautilus_trader.model import ClientOrderId

from trading_assets.monitoring.exported.page import Metric, Page
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.orders.contracts import size_of
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.metrics import catalogue as m
from trading_live.metrics.parts import Parts

_LIMITS: Final = ("max_position_notional", "max_daily_loss", "max_leverage", "max_total_notional")


type Positions = Mapping[str, Any]
"""Market -> the engine's open position."""


def open_positions(parts: Parts) -> Positions:
    """All open positions: one question to the engine, however many markets there are."""
    strategy = parts.strategy
    markets = {instrument: market for market, instrument in parts.instruments.items()}
    found = strategy.cache.positions_open(strategy_id=strategy.strategy_id)
    return {markets[one.instrument_id]: one for one in found if one.instrument_id in markets}


def read_account(page: Page, parts: Parts, positions: Positions, prices: Mapping[str, float]) -> None:
    """Everything that the engine's cache and portfolio say.

    Parameters
    ----------
    page
        Written to.
    parts
        Whose orders and limits these are.
    positions
        That are open.
    prices
        Market -> newest close; without one, a position is worth what it cost.
    """
    _orders(page, parts)
    _positions(page, parts, positions, prices)
    _money(page, parts)
    _limits(page, parts)


def _orders(page: Page, parts: Parts) -> None:
    cache = parts.strategy.cache
    states = Counter(order.status.name.lower() for order in [*cache.orders_open(), *cache.orders_inflight()])
    page.set_all(m.ORDERS, {"accepted": 0, "submitted": 0} | states)


def _positions(page: Page, parts: Parts, positions: Positions, prices: Mapping[str, float]) -> None:
    sides = {"long": 0.0, "short": 0.0}
    for market in parts.instruments:
        position = positions.get(market)
        instrument = None if position is None else parts.strategy.cache.instrument(position.instrument_id)
        quantity = 0.0 if position is None else float(position.signed_qty) * float(size_of(instrument) or 1)
        cost = 0.0 if position is None else float(position.avg_px_open)
        price = prices.get(market, cost)
        sides["long" if quantity > 0 else "short"] += abs(quantity) * price
        page.set(m.POSITION, quantity, market)
        page.set(m.NOTIONAL, quantity * price, market)
        page.set(m.POSITION_PNL, quantity * (price - cost), market)
    page.set_all(m.EXPOSURE, sides)


def _money(page: Page, parts: Parts) -> None:
    sums: dict[Metric, dict[str, float]] = {m.UNREALIZED: {}, m.REALIZED: {}}
    portfolio, equity = parts.strategy.portfolio, parts.strategy.equity()
    for venue in {instrument.venue for instrument in parts.instruments.values()}:
        told = (portfolio.unrealized_pnls(venue), portfolio.realized_pnls(venue))
        for metric, found in zip(sums, told, strict=True):
            for currency, amount in found.items():
                into = sums[metric]
                into[currency.code] = into.get(currency.code, 0.0) + float(amount.as_double())
    for metric, amounts in ({m.EQUITY: equity} | sums).items():
        page.set_all(metric, amounts)
    if len(equity) == 1 and (whole := next(iter(equity.values()))) > 0:
        page.set(m.LEVERAGE, sum(page.values[m.EXPOSURE].values()) / whole)


def _limits(page: Page, parts: Parts) -> None:
    now, gate = parts.strategy.now, parts.gate
    if now is not None:
        page.set(m.DAILY_PNL, gate.realised(now))
        page.set(m.ORDERS_MINUTE, gate.orders_in_minute(now))
    for name in _LIMITS:
        page.set(m.LIMIT, getattr(gate.limits, name, None), name)
    page.set(m.LIMIT, gate.max_orders_per_minute, "max_orders_per_minute")


class Protection:
    """Since when open positions have been without a stop; kept from one look to the next."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: dict[str, float] = {}

    def read(self, page: Page, parts: Parts, positions: Positions) -> None:
        """Look at every market: 0 where nothing is open or what is open is protected."""
        now, strategy = self._monotonic(), parts.strategy
        for market in parts.instruments:
            if market not in positions or is_protected(strategy, strategy.open_trades.get(market)):
                self._since.pop(market, None)
                page.set(m.UNPROTECTED, 0.0, market)
            else:
                page.since(m.UNPROTECTED, self._since.setdefault(market, now), market)


def is_protected(strategy: StrategyHost, plan: TradePlan | None) -> bool:
    """Whether a stop rests for a trade, or its exit is on its way."""
    if plan is None:
        return False
    waited = plan.exit_order_id if plan.stage == "exiting" else plan.stop_order_id
    order: Any = strategy.cache.order(ClientOrderId(waited)) if waited else None
    return order is not None and not order.is_closed


class Peaks:
    """The highest equity of each currency so far."""

    def __init__(self) -> None:
        self._peaks: dict[str, float] = {}

    def read(self, page: Page) -> None:
        """Compare the page's equity with its peak."""
        for (currency,), equity in page.values.get(m.EQUITY, {}).items():
            peak = self._peaks[currency] = max(equity, self._peaks.get(currency, equity))
            page.set(m.PEAK, peak, currency)
            page.set(m.DRAWDOWN, 1 - equity / peak if peak > 0 else None, currency)
