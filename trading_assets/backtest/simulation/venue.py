"""The simulated exchange: NautilusTrader's backtest engine, fed in bulk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import polars as pl
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import DefaultFillModel, FeeModel, MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    CryptoPerpetual,
    Currency,
    CurrencyType,
    FundingRateUpdate,
    InstrumentId,
    LiquiditySide,
    MarkPriceUpdate,
    Money,
    OmsType,
    Price,
    Quantity,
    Symbol,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig

from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.core.candles import Market
from trading_assets.costs.slippage import Slippage
from trading_assets.settings import BacktestSettings
from trading_assets.strategies.instruments import bar_type, event_time, exact, instrument_id, nanoseconds, raw_symbol
from trading_assets.strategies.risk.gate import engine_order_rate

_FIXED_SCALE: Final = 16
"""Decimals of the engine's fixed-point numbers."""

SLICES: Final = "slices"
"""The timeframe of a feed of slices of candles: finer than all bars, as the engine matches on the finest it gets."""

_LEVERAGE: Final = Decimal(10)
"""Positions are bounded by the strategy's share, the risk limits and, on spot, its cash, not by margin."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One kind of bars of one market.

    Attributes
    ----------
    bars
        ``at`` (the bar's end) and OHLCV, ascending.
    """

    market: str
    timeframe: str
    rules: MarketRules
    bars: pl.DataFrame


def make_engine(
    settings: BacktestSettings, rules: dict[str, MarketRules], *, venue: str, slippage: Slippage | None = None
) -> BacktestEngine:
    """An engine with one margin account and every market as a linear perpetual.

    Costs: maker and taker fees on notional, of each market's venue, the taker's with the slippage in basis points; a
    fill slips by one tick with the set probability (the engine slips limit fills too); orders arrive after the latency.
    A spot market is traded as a perpetual of its own name: short entries on it are refused, and those without the cash
    for them (:mod:`trading_assets.strategies.risk.cash`).
    """
    quiet = LoggerConfig(bypass_logging=True)
    limits = RiskEngineConfig(max_order_submit_rate=engine_order_rate(len(rules)))
    engine = BacktestEngine(BacktestEngineConfig(logging=quiet, run_analysis=True, risk_engine=limits))
    at_touch = 1.0 if settings.target_fill == "touch" else 0.0
    quotes = sorted({Market.parse(market).quote for market in rules})
    engine.add_venue(
        Venue(venue.upper()),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(settings.starting_balance, _currency(quote)) for quote in quotes],
        default_leverage=_LEVERAGE,
        fill_model=DefaultFillModel(at_touch, settings.slippage_probability, settings.seed),
        fee_model=_fees(settings, rules) if slippage is None else OrderCosts(settings, rules, slippage),
        latency_model=StaticLatencyModel(base_latency_nanos=round(settings.latency_ms * 1e6)),
    )
    for market, precision in rules.items():
        engine.add_instrument(perpetual(market, precision, venue=venue))
    return engine


class OrderCosts(FeeModel):
    """Fees of each market's venue, the taker's with what a model says that the order slips when it is sent."""

    def __new__(cls, *_: Any) -> OrderCosts:
        """The engine's base class takes no arguments of its own."""
        return super().__new__(cls)

    def __init__(self, settings: BacktestSettings, markets: Iterable[str], slippage: Slippage) -> None:
        self._markets = {instrument_id(market): (market, *settings.rates(market)) for market in markets}
        self._slippage = slippage

    def get_commission(self, order: Any, fill_quantity: Quantity, fill_px: Price, instrument: Any) -> Money:
        """What a fill costs, in quote currency."""
        market, maker, taker = self._markets[str(instrument.id)]
        if order.liquidity_side == LiquiditySide.MAKER:
            bps = maker
        else:
            bps = taker + self._slippage.bps(market, event_time(order.ts_init), exact(order.quantity))
        return Money(exact(fill_quantity) * exact(fill_px) * bps / 1e4, instrument.quote_currency)


def _fees(settings: BacktestSettings, markets: Iterable[str]) -> MakerTakerFeeModel:
    """Fees of each market's venue, the taker's with the slippage in basis points."""
    usual = (_rate(settings.maker_fee_bps), _rate(settings.market_order_bps))
    own = {
        InstrumentId.from_str(instrument_id(market)): (_rate(maker), _rate(taker + settings.slippage_bps))
        for market in markets
        for maker, taker in (settings.rates(market),)
    }
    return MakerTakerFeeModel(*usual, {one: rates for one, rates in own.items() if rates != usual} or None)


def perpetual(market: str, rules: MarketRules, *, venue: str) -> CryptoPerpetual:
    """The instrument that a market is traded as."""
    parsed = Market.parse(market)
    quote = _currency(parsed.quote)
    return CryptoPerpetual(
        InstrumentId.from_str(instrument_id(market)),
        Symbol(raw_symbol(market)),
        _currency(parsed.base),
        quote,
        quote,
        False,
        rules.price_precision,
        rules.size_precision,
        Price(rules.tick, rules.price_precision),
        Quantity(rules.lot, rules.size_precision),
        0,
        0,
    )


def funding_updates(due: pl.DataFrame) -> list[tuple[datetime, list[Any]]]:
    """What makes the engine settle payments, each with its instant, ascending.

    The engine settles a rate where its instant is a multiple of its interval: of a minute, each is. It prices with the
    mark price, which it is told at the same instant.

    Parameters
    ----------
    due
        Columns of :data:`trading_assets.costs.funding.PAYMENTS`; what is assumed is left to the ledger.
    """
    updates: list[tuple[datetime, list[Any]]] = []
    stored = due.filter(~pl.col("assumed")).sort("ts", "market").select("market", "ts", "rate", "price")
    for market, ts, rate, price in stored.iter_rows():
        instrument, at = InstrumentId.from_str(instrument_id(market)), nanoseconds(ts)
        mark = MarkPriceUpdate(instrument, Price.from_str(_text(price)), at, at)
        updates.append((ts, [mark, FundingRateUpdate(instrument, Decimal(_text(rate)), at, at, interval=1)]))
    return updates


def _text(value: float) -> str:
    """The shortest decimal that reads back as the same number, as far as the engine's decimals go."""
    return np.format_float_positional(value, precision=_FIXED_SCALE, unique=True, trim="-")


def final_statistics(engine: BacktestEngine, *, venue: str) -> dict[str, float]:
    """The engine's own figures of the run, flat, and the account's final ``balance``."""
    result = engine.get_result()
    figures: dict[str, float] = dict(result.stats_general) | dict(result.stats_returns)
    for per_currency in result.stats_pnls.values():
        figures |= per_currency
    account = engine.cache.account_for_venue(Venue(venue.upper()))
    balances = account.balances_total() if account is not None else {}
    return figures | {"balance": sum(money.as_double() for money in balances.values())}


class EngineBars:
    """A feed as engine bars, made when they are asked for: most are not.

    Whole steps of the market's decimals first, then only the decimal point moves: the numbers are the frame's.
    """

    def __init__(self, feed: Feed) -> None:
        instrument, rules, frame = instrument_id(feed.market), feed.rules, feed.bars
        is_path = feed.timeframe == SLICES
        kind = f"{instrument}-1-SECOND-LAST-EXTERNAL" if is_path else bar_type(instrument, feed.timeframe)
        self._kind = BarType.from_str(kind)
        self._decimals = rules.price_precision, rules.size_precision
        prices = [_steps(frame[name], rules.price_precision) for name in ("open", "high", "low", "close")]
        self._columns = [*prices, _steps(frame["volume"], rules.size_precision), frame["at"].dt.epoch("us")]

    def __call__(self, start: int, stop: int) -> list[Bar]:
        """Those of the feed's rows in [start, stop)."""
        decimals, size_decimals = self._decimals
        step, size_step = 10 ** (_FIXED_SCALE - decimals), 10 ** (_FIXED_SCALE - size_decimals)
        price, size = Price.from_raw, Quantity.from_raw
        rows = [column.slice(start, stop - start).to_list() for column in self._columns]
        return [
            Bar(
                self._kind,
                price(opened * step, decimals),
                price(high * step, decimals),
                price(low * step, decimals),
                price(close * step, decimals),
                size(volume * size_step, size_decimals),
                at * 1000,
                at * 1000,
            )
            for opened, high, low, close, volume, at in zip(*rows, strict=True)
        ]


def _steps(values: pl.Series, decimals: int) -> pl.Series:
    """Numbers of a decimal's steps."""
    return (values * 10.0**decimals).round().cast(pl.Int128)


def _currency(code: str) -> Currency:
    """A currency; synthetic ones are registered on first use."""
    try:
        return Currency.from_str(code, strict=True)
    except ValueError:
        currency = Currency(code, 8, 0, code, CurrencyType.CRYPTO)
        Currency.register(currency)
        return currency


def _rate(bps: float) -> Decimal:
    return Decimal(str(bps)) / 10_000
