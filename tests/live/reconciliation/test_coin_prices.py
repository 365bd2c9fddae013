"""What a coin is worth that a venue takes fees in, asked for off the engine's thread."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from trading_live.reconciliation.coin_prices import LONGEST_S, CoinPrices
from trading_live.venues.account.binance import BinanceUsdm
from trading_live.venues.account.binance_spot import BinanceSpot
from trading_live.venues.account.bybit import Bybit
from trading_live.venues.account.contract import VenueError
from trading_live.venues.account.kraken_futures import KrakenFutures
from trading_live.venues.account.okx import Okx


class Account:
    """An account that owns coins, at a venue that may be silent."""

    fee_coins = ("BNB",)

    def __init__(self, **owned: float) -> None:
        self.owned = owned
        self.price: float | None = 600.0

    def balances(self) -> dict[str, float]:
        return self.owned

    def rate(self, coin: str, quote: str) -> float | None:
        if self.price is None:
            raise VenueError("silent")
        return self.price if (coin, quote) == ("BNB", "USDT") else None


def test_a_coin_that_the_account_owns_has_a_price_before_the_first_fee() -> None:
    prices = CoinPrices()
    prices.begin(Account(BNB=1.0, USDT=5.0), ["USDT"])  # type: ignore[arg-type]
    assert prices("BNB", "USDT") == 600.0
    assert prices.lacking() == []


def test_a_coin_is_wanted_from_its_first_fee_on_and_told_once_until_its_price_is_known() -> None:
    account, prices, now = Account(USDT=5.0), CoinPrices(lambda: at[0]), [0.0]
    at = now
    prices.begin(account, ["USDT"])  # type: ignore[arg-type]
    assert prices("BNB", "USDT") is None
    (words,) = prices.lacking()
    assert "BNB" in words
    assert "USDT" in words
    assert prices("BNB", "USDT") is None
    assert prices.lacking() == []
    prices.learn(account)  # type: ignore[arg-type]
    assert prices("BNB", "USDT") == 600.0
    account.price = None
    prices.learn(account)  # type: ignore[arg-type]
    at[0] = LONGEST_S
    assert prices("BNB", "USDT") == 600.0
    at[0] = LONGEST_S + 1
    assert prices("BNB", "USDT") is None, "an old price says nothing of a fill"


@pytest.mark.parametrize(
    ("of", "client", "answer", "asked"),
    [
        (BinanceUsdm, ccxt.binanceusdm, {"price": "600"}, {"symbol": "BNBUSDT"}),
        (BinanceSpot, ccxt.binance, {"price": "600"}, {"symbol": "BNBUSDT"}),
        (Bybit, ccxt.bybit, {"result": {"list": [{"lastPrice": "600"}]}}, {"category": "spot", "symbol": "BNBUSDT"}),
        (Okx, ccxt.okx, {"data": [{"last": "600"}]}, {"instId": "BNB-USDT"}),
        (KrakenFutures, ccxt.krakenfutures, None, None),
    ],
)
def test_each_venue_is_asked_in_its_own_words(of: Any, client: Any, answer: Any, asked: Any) -> None:
    said: list[Any] = []

    def call(endpoint: str, params: Any, *, gone: Any) -> Any:
        assert callable(getattr(client(), endpoint))
        said.append(params)
        return answer

    account = of(SimpleNamespace(call=call, place="there"), [])
    assert account.rate("BNB", "USDT") == (None if answer is None else 600.0)
    assert said == ([] if asked is None else [asked])
