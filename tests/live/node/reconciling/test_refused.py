"""What counts as refused is asked about at once: a venue may have filled or placed it all the same."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tests.live.conftest import MARKET
from tests.live.node.reconciling.running import PATIENCE_S, node, refused_entry
from tests.live.rehearsed import IDS, STILL, desk, opened, order_id, order_row
from trading_assets.journal import read_session, read_state
from trading_live.node.reconciling.comparing import Comparing
from trading_live.node.reconciling.handover import Handover
from trading_live.replay import Faults
from trading_live.venues.account.contract import VenueFill


@pytest.mark.parametrize("filled", [True, False])
def test_of_an_entry_that_was_refused_the_account_says_at_once_whether_it_has_filled(tmp_path, filled):
    with desk(tmp_path, STILL, STILL) as one:
        with node(one) as running:
            plan = refused_entry(one, running)
            if filled:
                one.market(plan.entry_order_id, 10.0)
            running.turns_until(lambda: running.filled if filled else running.concluded)
            if filled:
                running.turns_until(lambda: read_state(one.path).markets[MARKET].held)
        if filled:
            assert running.filled[0] == (MARKET, 10.0, pytest.approx(100.0, abs=0.1))
            assert (MARKET, "unfilled") not in running.concluded
        else:
            assert running.concluded[0] == (MARKET, "unfilled")
            assert running.filled == []


@pytest.mark.parametrize(("coin", "left"), [("BTC", 9.99), ("USDT", 10.0), ("BNB", 10.0)])
def test_of_what_a_refused_entry_has_bought_of_a_coin_its_fee_is_not_there_to_be_sold(coin, left, tmp_path):
    spot, now = "binance:BTC/USDT", datetime(2025, 1, 1, tzinfo=UTC)
    plan = SimpleNamespace(market=spot, entry_order_id="e", known_at=now)
    fill = VenueFill("1", "e", "7", spot, "buy", 10.0, 100.0, 0.01, coin, "taker", now)
    account, engine = SimpleNamespace(order=lambda *_: None, fills=lambda *_: [fill]), Handover()
    comparing = Comparing(account, [spot], IDS, SimpleNamespace(path=tmp_path / "journal"), engine)
    comparing._ask_entry(plan, waits=False)
    assert engine.entries.get_nowait()[:2] == (spot, pytest.approx(left))


def test_the_rest_of_an_entry_that_was_refused_and_fills_in_parts_is_canceled(tmp_path):
    """The engine hears of no fill of it: what is bought later would have no stop."""
    faults = Faults()
    with desk(tmp_path, STILL, STILL, faults=faults) as one, node(one) as running:
        plan = refused_entry(one, running)
        faults.next("filled_in_parts")
        one.market(plan.entry_order_id, 10.0)
        running.turns_until(lambda: running.filled)
        assert running.filled[0] == (MARKET, 5.0, pytest.approx(100.0, abs=0.1))
        one.pass_time(2)
        order = one.account.order(MARKET, plan.entry_order_id)
        assert (order.status, order.filled) == ("canceled", 5.0)


def test_what_an_entry_that_was_refused_has_bought_and_another_hand_has_sold_is_not_protected_any_more(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        with node(one) as running:
            plan = refused_entry(one, running)
            one.market(plan.entry_order_id, 10.0)
            one.market("web_1", -10.0, reduce=True)
            running.turns_until(lambda: running.concluded)
        assert running.concluded[0] == (MARKET, "by_hand")
        assert running.filled == []


def test_the_fills_of_an_entry_count_although_the_venue_knows_of_no_such_order(tmp_path):
    faults = Faults()
    with desk(tmp_path, STILL, STILL, faults=faults) as one:
        with node(one) as running:
            plan = refused_entry(one, running)
            one.market(plan.entry_order_id, 10.0)
            faults.next("not_found", path="GET /fapi/v1/order")
            running.turns_until(lambda: running.filled or running.concluded)
        assert running.filled[0] == (MARKET, 10.0, pytest.approx(100.0, abs=0.1))


@pytest.mark.parametrize("purpose", ["s", "p"])
def test_a_refused_order_that_rests_all_the_same_is_canceled_at_once(tmp_path, purpose):
    """It is of the open trade, whose orders no comparison cancels; nothing is entered until it is gone."""
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        refused, never = order_id("1", purpose, 8), order_id("1", purpose, 9)
        resting = lambda: {order.client_id for order in one.account.open_orders([MARKET])}  # noqa: E731
        with node(one) as running:
            running.reconciler._every_s = PATIENCE_S
            running.looks()
            one.write(*(order_row(plan, each, "rejected") for each in (refused, never)))
            if purpose == "s":
                one.stop(refused, -10.0, 95.5)
            else:
                one.limit(refused, -10.0, 104.5)
            running.refused = {refused: MARKET, never: MARKET}
            running.turn()
            assert "was refused" in running.reconciler.refusal(MARKET)
            assert running.reconciler.refusal("another market") is None
            running.turns_until(lambda: not running.refused)
            assert refused not in resting()
            assert resting() >= {plan.stop_order_id}, "that of the trade stays"
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is None)


def test_what_a_refused_stop_has_filled_is_its_own(tmp_path):
    """The engine never hears of it, and is not waited for."""
    with desk(tmp_path, STILL, (100.0, 100.0, 95.4, 95.5, 1_000_000.0), STILL) as one:
        plan = opened(one)
        refused = order_id("1", "s", 8)
        with node(one) as running:
            running.looks()
            running.follows = False
            one.write(order_row(plan, refused, "rejected"))
            one.stop(refused, -4.0, 95.5)
            one.pass_time(2)
            running.refused = {refused: MARKET}
            running.turns_until(lambda: read_state(one.path).markets[MARKET].held == pytest.approx(6.0))
        rows = read_session(one.path)["fills"]
        assert rows["order_id"].to_list()[-1] == refused
        assert rows["signal_id"].to_list()[-1] == plan.signal_id
        assert running.refused == {}
