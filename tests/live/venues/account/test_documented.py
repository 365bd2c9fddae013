"""The account of each venue, by the venue's documented answers: what it says is the same story everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.live.venues.account.documented import account_at, documented
from tests.live.venues.account.stories import STORIES
from tests.live.venues.account.stories.story import ENTRY, HIT, STOP, TARGET, T
from trading_assets.core.candles import Market
from trading_live.venues.account import Modes, VenueError

AT = datetime.fromtimestamp(T / 1000, UTC)
SINCE = AT - timedelta(minutes=1)


@pytest.fixture(params=STORIES)
def story(request):
    name, product, market, answers = STORIES[request.param]
    with documented(answers) as venue:
        yield account_at(venue, name, product, market), market, venue


@pytest.fixture
def account(story):
    return story[0]


@pytest.fixture
def market(story):
    return story[1]


@pytest.fixture
def is_spot(market):
    return not Market.parse(market).is_derivative


def test_all_that_rests_is_seen_conditional_orders_and_strangers_too(account, market, is_spot):
    found = {one.client_id: one for one in account.open_orders([market])}
    assert len(found) == 3
    target, stop = found[TARGET], found[STOP]
    assert (target.side, target.kind, target.quantity, target.filled, target.price) == (
        "sell",
        "limit",
        0.5,
        0.25,
        31000,
    )
    assert (stop.side, stop.kind, stop.quantity, stop.filled, stop.stop_price) == ("sell", "stop", 0.5, 0.0, 29000)
    stranger = next(one for name, one in found.items() if name not in (TARGET, STOP))
    assert (stranger.side, stranger.quantity) == ("buy", 2.0)
    assert {one.status for one in found.values()} == {"open"}
    assert {one.market for one in found.values()} == {market}
    assert target.reduce_only is stop.reduce_only is not is_spot
    assert target.ts == AT


def test_nothing_of_another_market_is_given(account, market):
    assert account.open_orders([market.replace("BTC", "ETH")]) == []


def test_an_order_is_found_by_our_own_id(account, market):
    entry = account.order(market, ENTRY)
    assert (entry.client_id, entry.status, entry.side, entry.quantity, entry.filled) == (
        ENTRY,
        "filled",
        "buy",
        1.0,
        1.0,
    )


def test_a_stop_that_was_triggered_is_found_by_its_own_id_too(account, market):
    hit = account.order(market, HIT)
    assert (hit.client_id, hit.kind, hit.status, hit.side, hit.filled) == (HIT, "stop", "filled", "sell", 0.5)
    assert hit.stop_price == 29000


def test_an_id_that_the_venue_never_saw_is_none(account, market):
    assert account.order(market, "tmain00000000no999") is None


def test_fills_say_price_fee_time_and_our_order(account, market):
    account.order(market, HIT)  # the venue's own id of what a stop became is learned here
    fills = account.fills(market, SINCE)
    assert [one.client_id for one in fills] == [ENTRY, ENTRY, HIT]
    assert [one.signed for one in fills] == [0.4, 0.6, -0.5]
    assert [one.price for one in fills] == [30000, 30001, 28990]
    assert [one.fee for one in fills] == [0.006, 0.009, 0.0072]
    assert {one.fee_currency for one in fills} == {Market.parse(market).quote}
    assert len({one.trade_id for one in fills}) == 3
    assert all(AT <= one.ts < AT + timedelta(seconds=10) for one in fills)


def test_the_position_is_signed_and_in_base_units(account, market, is_spot):
    positions = account.positions()
    if is_spot:
        assert positions == []
        return
    (one,) = positions
    assert (one.market, one.quantity, one.average_price, one.margin_mode) == (market, 0.5, 30000, "cross")


def test_balances_leave_out_what_is_not_there(account, market):
    assert account.balances() == {Market.parse(market).quote: 1000.0}


def test_payments_say_what_was_paid_for_what(account, market, is_spot):
    found = account.payments(SINCE)
    fees = [one for one in found if one.kind == "fee"]
    assert fees
    assert fees[0].amount == -0.006
    assert len({one.id for one in found}) == len(found)
    if is_spot:
        return
    assert [(one.amount, one.market) for one in found if one.kind == "funding"] == [(-0.1, market)]
    assert [one.amount for one in found if one.kind == "realized"] == [-505]
    assert {one.currency for one in found} == {Market.parse(market).quote}


def test_the_clock_is_the_venues(account):
    assert abs(account.clock() - AT) <= timedelta(seconds=60)


def test_modes_are_read_and_set_where_there_are_any(story, is_spot):
    account, market, venue = story
    modes = account.modes(market)
    if is_spot:
        assert modes == Modes()
    else:
        assert modes.margin_mode == "cross"
        assert modes.hedged is False
        assert modes.leverage in (5.0, None)
    before = len(venue.asked)
    account.set_modes(market, Modes(3, None if "kraken" in market else "cross", hedged=False))
    assert (len(venue.asked) > before) is not is_spot


def test_an_order_is_canceled_by_our_id_whichever_service_keeps_it(account, market):
    assert account.cancel(market, TARGET) is True
    assert account.cancel(market, STOP) is True
    assert account.cancel(market, "tmain00000000no999") is False


def test_everything_of_a_market_is_canceled_at_once(story):
    account, market, venue = story
    account.cancel_all(market)
    assert any("ancel" in path or path.startswith("DELETE") for path in venue.paths())


def test_a_position_is_closed_by_an_order_that_can_do_no_more(story, is_spot):
    account, market, venue = story
    sent = account.close(market, 0.5)
    assert (sent.side, sent.kind, sent.quantity, sent.status) == ("sell", "market", 0.5, "filled")
    asked = next(one for one in reversed(venue.asked) if one.method == "POST" and {"side", "type"} & set(one.params))
    said = str(asked.params).lower()
    assert ("'reduceonly': 'true'" in said or "'reduceonly': true" in said) is not is_spot
    assert account.close(market, -0.5).side == "buy"


@pytest.mark.parametrize("silent", [False, True], ids=["not there yet", "no answer"])
@pytest.mark.parametrize(
    ("name", "asked", "nothing"),
    [
        ("kraken spot", "POST /0/private/QueryOrders", {"error": [], "result": {}}),
        ("okx perpetual", "GET /api/v5/trade/order", {"code": "51603", "msg": "Order does not exist", "data": []}),
        ("bybit perpetual", "GET /v5/order/realtime", {"retCode": 0, "retMsg": "OK", "result": {"list": []}}),
    ],
)
def test_a_closing_order_that_was_accepted_and_is_not_found_yet_is_open(name, asked, nothing, silent):
    venue_name, product, market, answers = STORIES[name]
    told = (503, {}) if silent else nothing
    with documented({**answers, asked: told, "GET /v5/order/history": told}) as venue:
        sent = account_at(venue, venue_name, product, market).close(market, 0.5, "close0123456789ab")
    assert (sent.client_id, sent.status, sent.side, sent.quantity, sent.filled) == (
        "close0123456789ab",
        "open",
        "sell",
        0.5,
        0.0,
    )


def test_what_can_be_closed_are_whole_steps_of_the_venue(story):
    account, market, venue = story
    assert account.closable(market, 0.7 + 0.1) == 0.8
    assert account.closable(market, -(0.3 - 0.1)) == -0.2
    asked = len(venue.asked)
    assert account.closable(market, 0.123456789) == {
        "binance:BTC/USDT": 0.12345,
        "kraken:BTC/USD:USD": 0.1234,
        "kraken:BTC/USD": 0.12345678,
    }.get(market, 0.123)
    assert account.closable(market, 1e-9) == 0.0
    assert len(venue.asked) == asked, "the step is asked for once"


def test_of_a_market_that_is_not_listed_all_is_closable():
    with documented({"GET /fapi/v1/exchangeInfo": {"symbols": []}}) as venue:
        account = account_at(venue, "binance", "perpetual", "binance:NO/USDT:USDT")
        assert account.closable("binance:NO/USDT:USDT", 0.123456789) == 0.123456789


def test_a_dead_mans_switch_is_set_where_the_venue_has_one(story):
    account, market, venue = story
    before = len(venue.asked)
    has = account.cancel_after(15, [market])
    assert has is (len(venue.asked) > before)
    assert account.cancel_after(None, [market]) is has


def test_an_account_whose_mode_has_no_swaps_is_refused_before_the_first_order():
    config = {"code": "0", "msg": "", "data": [{"posMode": "net_mode", "acctLv": "1"}]}
    with documented({"GET /api/v5/account/config": config}) as venue:
        account = account_at(venue, "okx", "perpetual", "okx:BTC/USDT:USDT")
        with pytest.raises(VenueError, match="okx:BTC/USDT:USDT: the account is in spot mode; set it to futures mode"):
            account.modes("okx:BTC/USDT:USDT")


def test_a_venue_without_a_market_is_an_error_in_plain_words():
    with documented({"GET /api/v5/public/instruments": {"code": "0", "msg": "", "data": []}}) as venue:
        account = account_at(venue, "okx", "perpetual", "okx:NO/USDT:USDT")
        with pytest.raises(VenueError, match="does not have NO-USDT-SWAP"):
            account._unit("NO-USDT-SWAP")


def test_on_a_market_that_the_venue_does_not_have_nothing_rests():
    for name, product, market, path in (
        ("binance", "perpetual", "binance:NO/USDT:USDT", "/fapi/v1/openOrders"),
        ("binance", "spot", "binance:NO/USDT", "/api/v3/openOrders"),
    ):
        with documented({f"GET {path}": (400, {"code": -1121, "msg": "Invalid symbol."})}) as venue:
            assert account_at(venue, name, product, market).open_orders([market]) == []


def test_an_order_on_a_market_that_is_gone_is_not_known_there_any_more():
    gone, unknown = (
        (400, {"code": -1121, "msg": "Invalid symbol."}),
        (400, {"code": -2013, "msg": "Order does not exist."}),
    )
    for product, market, path in (
        ("perpetual", "binance:NO/USDT:USDT", "/fapi/v1/order"),
        ("spot", "binance:NO/USDT", "/api/v3/order"),
    ):
        with documented({f"GET {path}": gone, "GET /fapi/v1/algoOrder": unknown}) as venue:
            assert account_at(venue, "binance", product, market).order(market, ENTRY) is None


def test_markets_that_are_not_traded_are_told_with_the_venues_word():
    symbols = [{"symbol": "BTCUSDT", "status": "TRADING"}, {"symbol": "OLDUSDT", "status": "SETTLING"}]
    traded, old, gone = "binance:BTC/USDT:USDT", "binance:OLD/USDT:USDT", "binance:NO/USDT:USDT"
    with documented({"GET /fapi/v1/exchangeInfo": {"symbols": symbols}}) as venue:
        account = account_at(venue, "binance", "perpetual", traded)
        assert account.untraded([traded, old, gone]) == {old: "its status is SETTLING", gone: "it is not listed"}
    said = {"BTCUSDT": {"symbols": symbols[:1]}, "OLDUSDT": {"symbols": [symbols[1] | {"status": "BREAK"}]}}
    invalid = (400, {"code": -1121, "msg": "Invalid symbol."})
    traded, old, gone = "binance:BTC/USDT", "binance:OLD/USDT", "binance:NO/USDT"
    with documented({"GET /api/v3/exchangeInfo": lambda asked: said.get(asked["symbol"], invalid)}) as venue:
        account = account_at(venue, "binance", "spot", traded)
        assert account.untraded([traded, old, gone]) == {old: "its status is BREAK", gone: "it is not listed"}


def test_positions_of_markets_nobody_named_are_told_by_their_symbol():
    risk = [{"symbol": "XRPUSDT", "positionAmt": "-3", "entryPrice": "1", "leverage": "1", "liquidationPrice": "0"}]
    with documented({"GET /fapi/v2/positionRisk": risk}) as venue:
        account = account_at(venue, "binance", "perpetual", "binance:BTC/USDT:USDT")
        (one,) = account.positions()
    assert (one.market, one.quantity, one.liquidation_price) == ("binance:XRP/USDT:USDT", -3, None)
