"""The simulated exchange: NautilusTrader's backtest engine, fed in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl
import pyarrow as pa
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import DefaultFillModel, MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    CryptoPerpetual,
    Currency,
    CurrencyType,
    InstrumentId,
    Money,
    OmsType,
    Price,
    Quantity,
    Symbol,
    Venue,
)
from nautilus_trader.persistence import BarDataWrangler
from nautilus_trader.risk import RiskEngineConfig

from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.core.candles import Market
from trading_assets.settings import BacktestSettings
from trading_assets.strategies.instruments import bar_type, instrument_id, raw_symbol
from trading_assets.strategies.risk.gate import engine_order_rate

_FIXED_SCALE: Final = 16
"""Decimals of the engine's fixed-point numbers."""

SLICES: Final = "slices"
"""The timeframe of a feed of slices of candles: finer than all bars, as the engine matches on the finest it gets."""

CHUNK_ROWS = 100_000
"""Bars given to the engine at a time: few enough to stay in the processor's cache."""

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


def make_engine(settings: BacktestSettings, rules: dict[str, MarketRules], *, venue: str) -> BacktestEngine:
    """An engine with one margin account and every market as a linear perpetual.

    Costs: maker and taker fees on notional, the taker's with the slippage in basis points; a fill slips by one tick
    with the set probability (the engine slips limit fills too); orders arrive after the latency. A spot market is
    traded as a perpetual of its own name: short entries on it are refused, and those without the cash for them
    (:mod:`trading_assets.strategies.risk.cash`).
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
        fee_model=MakerTakerFeeModel(_rate(settings.maker_fee_bps), _rate(settings.market_order_bps)),
        latency_model=StaticLatencyModel(base_latency_nanos=round(settings.latency_ms * 1e6)),
    )
    for market, precision in rules.items():
        engine.add_instrument(perpetual(market, precision, venue=venue))
    return engine


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


def run_chunks(engine: BacktestEngine, feeds: Sequence[Feed], *, venue: str) -> int:
    """Run the engine over the feeds in chunks of time, so that memory does not grow with the history.

    Returns
    -------
    int
        Bars given to the engine.
    """
    total = 0
    for chunk in _chunks(feeds, CHUNK_ROWS):
        bars = [bar for feed in chunk for bar in to_bars(feed, venue=venue)]
        engine.add_data(bars, validate=False, sort=True)
        engine.run(streaming=True)
        engine.clear_data()
        total += len(bars)
    engine.end()
    return total


def final_statistics(engine: BacktestEngine, *, venue: str) -> dict[str, float]:
    """The engine's own figures of the run, flat, and the account's final ``balance``."""
    result = engine.get_result()
    figures: dict[str, float] = dict(result.stats_general) | dict(result.stats_returns)
    for per_currency in result.stats_pnls.values():
        figures |= per_currency
    account = engine.cache.account_for_venue(Venue(venue.upper()))
    balances = account.balances_total() if account is not None else {}
    return figures | {"balance": sum(money.as_double() for money in balances.values())}


def to_bars(feed: Feed, *, venue: str) -> list[Bar]:
    """Engine bars from a frame, through one Arrow batch instead of a constructor call each."""
    instrument = instrument_id(feed.market)
    kind = f"{instrument}-1-SECOND-LAST-EXTERNAL" if feed.timeframe == SLICES else bar_type(instrument, feed.timeframe)
    prices, sizes = feed.rules.price_precision, feed.rules.size_precision
    at = feed.bars["at"].cast(pl.Datetime("ns", "UTC")).to_arrow()
    columns = {name: _fixed(feed.bars[name], prices) for name in ("open", "high", "low", "close")}
    columns |= {"volume": _fixed(feed.bars["volume"], sizes), "ts_event": at, "ts_init": at}
    batch = pa.record_batch(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    bars: list[Bar] = BarDataWrangler(kind, prices, sizes).process_record_batch_bytes(sink.getvalue().to_pybytes())
    return bars


def _fixed(values: pl.Series, decimals: int) -> Any:
    """Floats as the engine's fixed-point column, exact: whole steps first, then only the decimal point moves."""
    steps = (values * 10.0**decimals).round().cast(pl.Int128)
    scaled = steps.cast(pl.Decimal(38, _FIXED_SCALE - decimals)).to_arrow()
    return pa.Array.from_buffers(pa.decimal128(38, _FIXED_SCALE), len(scaled), scaled.buffers(), offset=scaled.offset)


def _chunks(feeds: Sequence[Feed], rows: int) -> Iterator[list[Feed]]:
    """The feeds cut at common times, about ``rows`` bars each."""
    filled = [feed for feed in feeds if not feed.bars.is_empty()]
    total = sum(feed.bars.height for feed in filled)
    if not total:
        return
    start: datetime = min(feed.bars["at"][0] for feed in filled)
    end: datetime = max(feed.bars["at"][-1] for feed in filled) + timedelta(microseconds=1)
    count = -(-total // rows)
    cuts = [start + (end - start) * number / count for number in range(count)] + [end]
    rows_before = [feed.bars["at"].search_sorted(pl.Series(cuts, dtype=feed.bars["at"].dtype)) for feed in filled]
    for number in range(count):
        yield [
            Feed(feed.market, feed.timeframe, feed.rules, feed.bars.slice(before[number], size))
            for feed, before in zip(filled, rows_before, strict=True)
            if (size := before[number + 1] - before[number])
        ]


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
