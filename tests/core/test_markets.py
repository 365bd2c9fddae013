"""What a market's name says, and which names are refused."""

from __future__ import annotations

import pytest

from tests.backtest.worlds import backtest, random_signals, walk
from trading_assets.core.candles import Market
from trading_assets.core.errors import SettingsError
from trading_assets.strategies.instruments import instrument_id


@pytest.mark.parametrize(
    ("text", "base", "quote", "derivative", "expiry"),
    [
        ("binance:BTC/USDT", "BTC", "USDT", False, ""),
        ("binance:BTC/USDT:USDT", "BTC", "USDT", True, ""),
        ("binance:1000SHIB/USDT:USDT", "1000SHIB", "USDT", True, ""),
        ("hyperliquid:XYZ-XYZ100/USDC:USDC", "XYZ-XYZ100", "USDC", True, ""),
        ("hyperliquid:kPEPE/USDC:USDC", "kPEPE", "USDC", True, ""),
        ("binance:币安人生/USDT:USDT", "币安人生", "USDT", True, ""),
        ("okx:$PEPE.e/EUR", "$PEPE.e", "EUR", False, ""),
        ("okx:BTC/USDT:USDT-260925", "BTC", "USDT", True, "260925"),
    ],
)
def test_any_symbol_of_ccxt_is_a_market(text: str, base: str, quote: str, derivative: bool, expiry: str) -> None:
    market = Market.parse(text)
    assert str(market) == text
    assert (market.base, market.quote, market.is_derivative, market.expiry) == (base, quote, derivative, expiry)
    assert market.is_perpetual == (derivative and not expiry)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("binance:BTC/USD:BTC", "an inverse contract, settled in BTC and quoted in USD, .*binance:BTC/USDT:USDT"),
        ("okx:BTC/USD:BTC-260925", "an inverse contract, settled in BTC"),
        ("bitget:BTC/USD:USDC", "a quanto contract, settled in USDC and quoted in USD"),
        ("okx:BTC/USDT:USDT-260925-60000-C", "is an option"),
        ("BTC/USDT", "is not a market"),
        ("binance:BTCUSDT", "is not a market"),
        ("binance:BTC /USDT", "is not a market"),
        ("binance:BTC/USDT|x", "is not a market"),
        ("Binance:BTC/USDT", "is not a market"),
    ],
)
def test_what_is_not_computed_rightly_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Market.parse(text)


def test_a_dated_future_is_simulated_with_its_expiry() -> None:
    assert instrument_id("binance:BTC/USDT:USDT-260925") == "BTCUSDT_260925.BINANCE"


def test_a_backtest_trades_alike_whatever_a_symbol_is_written_with() -> None:
    candles = walk(1500, seed=1)
    trades = [
        backtest(random_signals(market, 1500, seed=1), {market: candles}).trades.drop("market", "signal_id")
        for market in ("binance:BTC/USDT:USDT", "hyperliquid:XYZ-XYZ100/USDT:USDT", "binance:币安人生/USDT:USDT")
    ]
    assert trades[0].height > 5
    assert trades[0].equals(trades[1])
    assert trades[0].equals(trades[2])
