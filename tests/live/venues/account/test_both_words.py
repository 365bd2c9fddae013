"""The local exchange's one account, asked in Binance's words and in Bybit's: both say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.live.conftest import MARKET, START
from tests.live.rehearsed import STILL, desk, opened, order_id
from trading_assets.sources.transport.backoff import Backoff
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.venues.account import Modes
from trading_live.venues.account.ids import BrokerIds
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

SINCE = START - timedelta(minutes=5)


@pytest.fixture
def both(tmp_path):
    with desk(tmp_path, STILL, (100.0, 102.5, 100.0, 102.0, 1_000_000.0), STILL) as one:
        account = make_account(
            "bybit",
            "perpetual",
            Credentials(REHEARSAL_KEY, REHEARSAL_SECRET),
            [MARKET],
            place="bybit replay",
            base_url=one.server.url_http,
            timeout_s=60,
            waits=Backoff(1, 0.0),
        )
        account._ids = BrokerIds("aHRE4BCj")  # the orders were sent in Binance's words
        yield one, account


def plain(orders):
    return sorted(
        (
            one.client_id,
            one.market,
            one.side,
            one.kind,
            one.quantity,
            one.filled,
            one.stop_price,
            one.reduce_only,
            one.status,
        )
        for one in orders
    )


def test_orders_fills_positions_and_balances(both):
    one, bybit = both
    plan = opened(one, targets=2)
    one.pass_time(3)
    assert plain(bybit.open_orders([MARKET])) == plain(one.account.open_orders([MARKET]))
    for client_id in (plan.entry_order_id, plan.stop_order_id, plan.targets[0].order_id):
        there, here = bybit.order(MARKET, client_id), one.account.order(MARKET, client_id)
        assert (there.status, there.filled, there.side) == (here.status, here.filled, here.side)
    assert bybit.order(MARKET, order_id("9", "e", 0)) is None

    def bare(fills):
        return [replace(fill, trade_id="", venue_id="", liquidity="") for fill in fills]

    assert bare(bybit.fills(MARKET, SINCE)) == bare(one.account.fills(MARKET, SINCE))
    (there,), (here,) = bybit.positions(), one.account.positions()
    assert (there.market, there.quantity, there.average_price) == (here.market, here.quantity, here.average_price)
    assert bybit.balances() == pytest.approx(one.account.balances())
    assert abs(bybit.clock() - one.account.clock()) < timedelta(minutes=1)


def test_the_statement(both):
    one, bybit = both
    opened(one, targets=2)
    one.pass_time(3)

    def sums(account):
        found: dict[str, float] = {}
        for payment in account.payments(SINCE):
            found[payment.kind] = found.get(payment.kind, 0.0) + payment.amount
        return found

    assert sums(bybit) == pytest.approx(sums(one.account))


def test_what_is_asked_for_is_done(both):
    one, bybit = both
    plan = opened(one)
    assert bybit.modes(MARKET).hedged is False
    bybit.set_modes(MARKET, Modes(leverage=3, hedged=False))
    assert one.account.modes(MARKET).leverage == 3
    assert bybit.cancel(MARKET, plan.stop_order_id) is True
    assert bybit.cancel(MARKET, plan.stop_order_id) is False
    closed = bybit.close(MARKET, 10.0)
    assert (closed.status, closed.filled) == ("filled", 10.0)
    assert one.account.positions() == []
    bybit.cancel_all(MARKET)
    assert one.account.open_orders([MARKET]) == []
