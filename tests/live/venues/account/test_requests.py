"""Requests end in time, are tried again a few times, and never show a key."""

from __future__ import annotations

import logging

import pytest

from tests.live.venues.account.documented import KEYS, account_at, documented
from trading_assets.settings import load_settings
from trading_live.venues.account import VenueError
from trading_live.venues.account.keys import credential_names, credentials
from trading_live.venues.account.open import account_of

MARKET = "binance:BTC/USDT:USDT"
PRODUCTS = [
    ("binance", "perpetual", "binance:BTC/USDT:USDT"),
    ("binance", "spot", "binance:BTC/USDT"),
    ("bybit", "perpetual", "bybit:BTC/USDT:USDT"),
    ("bybit", "spot", "bybit:BTC/USDT"),
    ("okx", "perpetual", "okx:BTC/USDT:USDT"),
    ("okx", "spot", "okx:BTC/USDT"),
    ("kraken", "perpetual", "kraken:BTC/USD:USD"),
    ("kraken", "spot", "kraken:BTC/USD"),
]


def failing(times, then, status=503):
    left = [times]

    def answer(_):
        left[0] -= 1
        return (status, {"code": -1, "msg": "busy"}) if left[0] >= 0 else then

    return answer


def test_what_fails_for_a_moment_is_asked_again_and_told():
    told = []
    with documented({"GET /fapi/v1/time": failing(2, {"serverTime": 1_700_000_000_000})}) as venue:
        account = account_at(venue, "binance", "perpetual", MARKET, tell=lambda *one: told.append(one))
        assert account.clock().year == 2023
    assert [event for event, _ in told] == ["venue asked again"] * 2
    assert "attempt 1 of 3" in told[0][1]


def test_attempts_are_bounded():
    with documented({"GET /fapi/v1/time": (503, {"code": -1, "msg": "busy"})}) as venue:
        account = account_at(venue, "binance", "perpetual", MARKET)
        with pytest.raises(VenueError, match="fapiPublicGetTime was not answered") as caught:
            account.clock()
        assert len(venue.asked) == 3
    assert not caught.value.answered
    assert "binance documented" in str(caught.value)


def test_an_order_is_never_sent_twice():
    with documented({"POST /fapi/v1/order": (503, {"code": -1, "msg": "busy"})}) as venue:
        account = account_at(venue, "binance", "perpetual", MARKET)
        with pytest.raises(VenueError, match="it is asked about before anything else is done"):
            account.close(MARKET, 1.0)
        assert len(venue.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (408, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
        (400, {"code": -1007, "msg": "Send status unknown; execution status unknown."}),
        (400, {"code": -1006, "msg": "An unexpected response was received. Execution status unknown."}),
        (503, {"code": -1001, "msg": "Internal error."}),
    ],
)
def test_an_order_whose_end_the_venue_does_not_know_is_not_sent_again_and_no_refusal(answer):
    with documented({"POST /fapi/v1/order": answer}) as venue:
        account = account_at(venue, "binance", "perpetual", MARKET)
        with pytest.raises(VenueError) as caught:
            account.close(MARKET, 1.0)
        assert len(venue.asked) == 1
    assert not caught.value.answered


def test_a_request_that_the_venue_had_no_time_for_is_sent_again_even_if_it_is_an_order():
    done = {
        "orderId": 1,
        "symbol": "BTCUSDT",
        "status": "FILLED",
        "clientOrderId": "x",
        "origQty": "1",
        "executedQty": "1",
    }
    done |= {"side": "SELL", "type": "MARKET", "time": 0, "reduceOnly": True}
    with documented({"POST /fapi/v1/order": failing(1, done, status=429)}) as venue:
        assert account_at(venue, "binance", "perpetual", MARKET).close(MARKET, 1.0).status == "filled"
        assert len(venue.asked) == 2


def test_a_venue_that_is_not_there_is_an_error_in_time():
    with documented({}) as venue:
        account = account_at(venue, "binance", "perpetual", MARKET, attempts=1, timeout_s=5.0)
    with pytest.raises(VenueError) as caught:
        account.clock()
    assert not caught.value.answered


def test_a_refusal_is_not_asked_again():
    refusal = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    with documented({"GET /fapi/v1/openOrders": (401, refusal)}) as venue:
        account = account_at(venue, "binance", "perpetual", MARKET)
        with pytest.raises(VenueError, match="see that the keys in the environment") as caught:
            account.open_orders([MARKET])
        assert len(venue.asked) == 1
    assert caught.value.answered


CALLS = {
    "open_orders": lambda account, market: account.open_orders([market]),
    "order": lambda account, market: account.order(market, "tmain12345678e000"),
    "fills": lambda account, market: account.fills(market, account.clock()),
    "positions": lambda account, _: account.positions(),
    "balances": lambda account, _: account.balances(),
    "payments": lambda account, _: account.payments(account.clock()),
    "modes": lambda account, market: account.modes(market),
    "cancel": lambda account, market: account.cancel(market, "tmain12345678e000"),
    "cancel_all": lambda account, market: account.cancel_all(market),
    "close": lambda account, market: account.close(market, 1.0),
    "cancel_after": lambda account, market: account.cancel_after(10, [market]),
}


@pytest.mark.parametrize(("venue", "product", "market"), PRODUCTS)
@pytest.mark.parametrize("echoed", [False, True], ids=["silent", "echoing"])
def test_no_error_and_no_log_shows_a_key(venue, product, market, echoed, caplog):
    """Also where the venue says the key back, or the address with the signature stands in the error."""
    caplog.set_level(logging.DEBUG)
    shown = []

    class Echo(dict):
        def get(self, path, default=None):
            said = " ".join(KEYS.values) if echoed else "no"
            return 400, {
                "code": -1000,
                "msg": said,
                "retCode": 10001,
                "retMsg": said,
                "error": [said],
                "result": "error",
            }

    with documented(Echo()) as server:
        account = account_at(server, venue, product, market, attempts=2, tell=lambda *one: shown.append(str(one)))
        for call in CALLS.values():
            try:
                call(account, market)
            except VenueError as error:
                shown.append(str(error))
                shown.append(repr(error))
        used = [one for one in server.asked if KEYS.key in str(one.headers) + str(one.params)]
    assert len(shown) >= 4
    assert used, "no request was signed"
    signed = {str(value) for one in server.asked for name, value in one.params_of() if "sign" in name.lower()}
    text = "\n".join([*shown, caplog.text, repr(KEYS), repr(account)])
    for secret in (*KEYS.values, *signed):
        assert secret not in text


@pytest.mark.parametrize(("venue", "product", "market"), PRODUCTS)
def test_keys_come_from_the_environment_alone_and_are_missed_by_name(venue, product, market, monkeypatch):
    for name in credential_names(venue, product, "live"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings(node={"venue": venue, "environment": "live"})
    with pytest.raises(VenueError, match=credential_names(venue, product, "live")[0]):
        account_of(settings, [market])
    for name in credential_names(venue, product, "live"):
        monkeypatch.setenv(name, "ZmFrZS1rZXk=")
    assert account_of(settings, [market]).place == f"{venue} live"


def test_kraken_has_no_spot_to_test_on():
    with pytest.raises(VenueError, match="no testnet of spot accounts"):
        credentials("kraken", "spot", "testnet")


def test_markets_of_two_accounts_are_refused_by_name():
    settings = load_settings(node={"venue": "kraken", "environment": "live"})
    with pytest.raises(VenueError, match="2 accounts of kraken"):
        account_of(settings, ["kraken:BTC/USD", "kraken:BTC/USD:USD"])
