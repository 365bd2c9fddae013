"""A market that is counted in contracts is traded as one that is counted in coins."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from nautilus_trader.model import CryptoPerpetual, Currency, InstrumentId, Price, Quantity, Symbol
from polars.testing import assert_frame_equal

from tests.backtest.worlds import EXACT, A, backtest, random_sides, walk
from trading_assets.backtest.simulation import venue as simulated
from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.core.candles import Market
from trading_assets.strategies.instruments import instrument_id, raw_symbol
from trading_assets.strategies.orders.limits import OrderLimits


def of_a_hundredth(market: str, rules: MarketRules, *, venue: str) -> CryptoPerpetual:
    """The market in contracts of 0.01 coins, with the same steps in coins."""
    parsed, digits = Market.parse(market), rules.size_precision
    quote = Currency.from_str(parsed.quote)
    steps = Price(rules.tick, rules.price_precision), Quantity(100 * rules.lot, digits)
    return CryptoPerpetual(
        InstrumentId.from_str(instrument_id(market)),
        *(Symbol(raw_symbol(market)), Currency.from_str(parsed.base), quote, quote, False),
        *(rules.price_precision, digits, *steps, 0, 0),
        multiplier=Quantity.from_str("0.01"),
    )


def test_contracts_of_a_hundredth_give_the_trades_of_whole_coins(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, frames = random_sides(A, 600, seed=3), {A: walk(600, seed=3)}
    coins = backtest(predictions, frames, settings=EXACT)
    monkeypatch.setattr(simulated, "perpetual", of_a_hundredth)
    hundredths = backtest(predictions, frames, settings=EXACT)
    assert coins.trades.height > 5
    assert_frame_equal(hundredths.trades, coins.trades, abs_tol=1e-6)
    assert_frame_equal(hundredths.equity, coins.equity, abs_tol=1e-6)
    numbers = ["quantity", "price", "fee"]
    both = (pl.DataFrame([{name: row[name] for name in numbers} for row in one.fills]) for one in (hundredths, coins))
    assert_frame_equal(*both, abs_tol=1e-6)


def test_a_venues_limits_in_contracts_are_limits_in_coins() -> None:
    class Instrument:
        multiplier, size_increment, price_increment = Decimal("0.01"), Decimal("0.1"), Decimal("0.5")
        min_quantity, max_quantity = Decimal("0.3"), Decimal(1_000)
        min_notional = max_notional = min_price = max_price = None

    found: Any = OrderLimits.of(Instrument)
    assert (found.step, found.min_quantity, found.max_quantity) == (0.001, 0.003, 10.0)
