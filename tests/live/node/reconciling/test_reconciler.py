"""While a node runs, the account is compared: a difference stops its market, is told, settled, and let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from tests.live.conftest import MARKET, START
from tests.live.node.reconciling.running import node
from tests.live.rehearsed import IDS, STILL, desk, opened, order_id, order_row, planned
from trading_assets.journal import read_session, read_state
from trading_live.execution.start_checks import Known, check_holdings
from trading_live.node.reconciling.engine_view import engine_says
from trading_live.node.reconciling.reconciler import AGREES, DIFFERS, MOST_FAILURES, UNANSWERED, _to_ask
from trading_live.reconciliation.asking import begin_of, is_of_journal, journalled_fills
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.views import EngineSays, JournalSays
from trading_live.recovery.at_venue import recover_at_venue


def test_where_all_agree_nothing_is_said_and_nothing_stops(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        with node(one) as running:
            running.looks(3)
            assert running.told == []
            assert running.reconciler.refusal(MARKET) is None
            assert running.reconciler.last_s is not None
        assert read_session(one.path)["balances"].height >= 1


def test_a_stop_that_nobody_heard_of_stops_entries_is_journalled_and_let_go(tmp_path):
    with desk(tmp_path, STILL, (100.0, 100.0, 94.0, 94.5, 1_000_000.0), STILL) as one:
        opened(one)
        with node(one) as running:
            running.looks()
            one.pass_time(3)
            running.turns_until(lambda: any(running.refusals))
            assert "differ" in next(filter(None, running.refusals))
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is None)
        assert DIFFERS in running.events()
        assert running.events()[-1] == AGREES
        assert read_state(one.path).markets[MARKET].held == pytest.approx(0.0)
        assert not [row for row in read_state(one.path).orders.values() if row.row["purpose"] == "stop_loss"]


def test_while_the_engine_is_behind_it_is_left_to_hear_it_itself(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        with node(one) as running:
            running.looks()
            running.follows = False
            one.market("web_1", -10.0, reduce=True)
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is not None)
            running.looks(2)
            assert read_state(one.path).markets[MARKET].held == pytest.approx(10.0)
            running.follows = True
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is None)
        assert read_state(one.path).markets[MARKET].held == pytest.approx(0.0)


def test_an_engine_that_never_hears_of_a_fill_does_not_keep_it_from_the_journal(tmp_path):
    """It waits for an order that was canceled on its way: orders differ for ever, and the trade is over by its word."""
    with desk(tmp_path, STILL, (100.0, 100.0, 94.0, 94.5, 1_000_000.0), STILL) as one:
        plan = opened(one)
        with node(one, behind_s=0.1) as running:
            running.looks()
            running.follows = False
            one.pass_time(3)
            running.known = EngineSays({order_id("1", "x", 8): MARKET}, {MARKET: 0.0})
            one.write(planned(replace(plan, stage="closed", exit_reason="lost")))
            one.write(order_row(plan, plan.target_order_ids[0], "cancel_rejected", quantity=10.0))
            running.turns_until(lambda: read_state(one.path).markets[MARKET].held == 0.0)
        true = [fill.trade_id for fill in one.account.fills(MARKET, plan.known_at - timedelta(hours=1))]
        journalled = read_session(one.path)["fills"]
        assert journalled["trade_id"].to_list() == true, "the venue's own, none made up"


def test_what_is_held_reaches_back_to_its_first_fill_whatever_ended_its_trade(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        one.write(planned(replace(plan, stage="closed", exit_reason="lost")))
        later = {**order_row(plan, plan.stop_order_id, "pending_cancel")[1], "ts": START + timedelta(hours=2)}
        one.write(("orders", later))
        state = read_state(one.path)
        says = JournalSays.of(state, journalled_fills(one.path))
        first = datetime.fromisoformat(state.markets[MARKET].fills[0]["ts"])
        assert begin_of(MARKET, says, {}) < first
        assert says.orders[plan.stop_order_id].ts < later["ts"], "since when it is there, not when it last changed"


def test_an_order_of_ours_that_no_trade_explains_is_canceled_and_a_strangers_is_not(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        one.write(order_row(plan, order_id("9", "p", 1), "rejected", quantity=1.0))
        with node(one) as running:
            running.looks()
            one.limit(order_id("9", "p", 1), 1.0, 90.0)
            one.limit("web_2", 1.0, 91.0)
            resting = lambda: {order.client_id for order in one.account.open_orders([MARKET])}  # noqa: E731
            running.turns_until(lambda: order_id("9", "p", 1) not in resting())
            running.looks(2)
            assert "web_2" in resting()
            assert len(resting()) == 3
            assert running.reconciler.refusal(MARKET) is None
        assert sum("foreign order" in words for _, words in running.told) == 1, "told once, not at each look"


@pytest.mark.parametrize("knows", [False, True])
def test_an_order_of_a_finished_trade_is_canceled_whether_the_engine_knows_it_or_not(tmp_path, knows):
    """Its cancel was refused, or never sent."""
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        with node(one) as running:
            running.looks()
            running.follows = False
            one.market("web_1", -10.0, reduce=True)
            one.write(planned(replace(plan, stage="closed", exit_reason="by_hand")))
            rest = dict.fromkeys((plan.stop_order_id, *plan.target_order_ids), MARKET)
            running.known = EngineSays(rest if knows else {}, {MARKET: 0.0})
            running.turns_until(lambda: not one.account.open_orders([MARKET]))
            running.known = EngineSays({}, {MARKET: 0.0})
            running.turns_until(lambda: not read_state(one.path).orders)
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is None)


def test_an_order_of_the_open_trade_that_the_journal_has_as_canceled_and_that_rests_is_journalled_again(tmp_path):
    """The engine had taken a cancel for granted of which it heard nothing, and a new start has found the order."""
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        (target,) = plan.target_order_ids
        one.write(order_row(plan, target, "canceled"))
        assert target not in read_state(one.path).orders
        with node(one) as running:
            running.turns_until(lambda: target in read_state(one.path).orders)
            assert running.reconciler.refusal(MARKET) is None
            running.looks(2)
        assert sum("unwritten order" in words for _, words in running.told) == 1


def test_an_order_that_a_killed_process_sent_unheard_for_a_trade_that_is_over_is_canceled(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        unheard = order_id("1", "s", 5)
        one.account.cancel(MARKET, plan.stop_order_id)
        for target in plan.target_order_ids:
            one.account.cancel(MARKET, target)
        one.market("web_1", -10.0, reduce=True)
        one.stop(unheard, -10.0, 90.0)
        recovered = recover_at_venue(one.path, lambda _: one.account, IDS)
        assert not recovered.plans
        one.write(*recovered.repairs)
        known = Known(recovered.open_markets, lambda order: is_of_journal(one.path, order))
        assert check_holdings(one.account, [MARKET], IDS, known, adopt=False) == {}
        assert not is_of_journal(one.path, order_id("9", "s", 1))
        with node(one) as running:
            running.turns_until(lambda: unheard not in {order.client_id for order in one.account.open_orders([MARKET])})
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is None)


def test_an_order_with_our_prefix_that_this_node_never_sent_is_another_nodes_and_stops_all_entries(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        with node(one) as running:
            running.looks()
            one.limit(order_id("9", "s", 1), 1.0, 90.0)
            running.turns_until(lambda: running.reconciler.refusal("another market") is not None)
            assert "another node trades the account" in running.reconciler.refusal(MARKET)
            running.looks(2)
            resting = {order.client_id for order in one.account.open_orders([MARKET])}
            assert order_id("9", "s", 1) in resting, "it may protect what the other node holds"
            one.account.cancel(MARKET, order_id("9", "s", 1))
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is None)
        assert sum("other node" in words for _, words in running.told) == 1
    with desk(tmp_path / "adopts", STILL, STILL) as one:
        opened(one)
        with node(one, adopts=True) as running:
            running.looks()
            one.limit(order_id("9", "s", 1), 1.0, 90.0)
            resting = lambda: {order.client_id for order in one.account.open_orders([MARKET])}  # noqa: E731
            running.turns_until(lambda: order_id("9", "s", 1) not in resting())


def test_an_account_that_does_not_answer_stops_entries_until_it_does(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        with node(one) as running:
            running.looks()
            before = running.says()
            running.says = lambda: before
            one.server.begin_outage()
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is not None)
            assert "could not be compared" in running.reconciler.refusal(MARKET)
            assert running.reconciler.failures >= MOST_FAILURES, "each counts as an error of the venue"
            one.server.end_outage()
            running.turns_until(lambda: running.reconciler.refusal(MARKET) is None)
        assert UNANSWERED in running.events()
        assert running.events()[-1] == AGREES


def test_it_ends_with_the_engine_at_once(tmp_path):
    with desk(tmp_path, STILL) as one:
        with node(one) as running:
            pass
        assert not running.reconciler._thread.is_alive()


@pytest.mark.parametrize(
    ("hand", "reason"),
    [(None, "stop_loss"), ("web_1", "by_hand"), ("autoclose-1", "liquidation"), ("close0123456789ab", "kill")],
)
def test_a_trade_whose_position_is_gone_hears_the_true_reason(tmp_path, hand, reason):
    """The engine started after it had closed, or heard of a close by an order that it does not know."""
    with desk(tmp_path, STILL, (100.0, 100.0, 94.0, 94.5, 1_000_000.0), STILL) as one:
        plan = opened(one)
        with node(one) as running:
            running.looks()
            if hand is None:
                one.pass_time(3)
            else:
                one.market(hand, -10.0, reduce=True)
            running.vanished = {MARKET: plan}
            running.turns_until(lambda: running.concluded)
        assert running.concluded[0] == (MARKET, reason)
        assert read_state(one.path).markets[MARKET].held == pytest.approx(0.0)


def test_an_order_that_the_engine_still_waits_for_is_not_called_lost(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        late = order_id("1", "s", 9)
        with node(one) as running:
            running.looks()
            running.follows = False
            running.known = EngineSays({**running.known.orders, late: MARKET}, running.known.held)
            one.write(order_row(plan, late))
            running.looks(3)
            assert late in read_state(one.path).orders
            running.follows = True
            running.turns_until(lambda: late not in read_state(one.path).orders)
        assert running.told[0][0] == DIFFERS


def test_what_the_engine_has_open_or_on_its_way_is_what_it_holds():
    named = [SimpleNamespace(value=order_id("1", "s", number)) for number in (1, 2)]
    cache = SimpleNamespace(
        client_order_ids_open=lambda **_: [named[0], SimpleNamespace(value="web_1")],
        client_order_ids_inflight=lambda **_: [named[1]],
        positions_open=lambda **_: [SimpleNamespace(signed_qty=2.0), SimpleNamespace(signed_qty=-0.5)],
        instrument=lambda _: SimpleNamespace(multiplier="0.1"),
    )
    said = engine_says(SimpleNamespace(cache=cache, vanished={}), {MARKET: "I"}, IDS)
    assert said == EngineSays({one.value: MARKET for one in named}, {MARKET: 1.5 * 0.1}), "contracts, in base units"


def test_the_engine_is_asked_about_an_order_only_where_its_position_lacks_what_that_would_explain():
    """Else it has made up a fill already, and would count the order's as well."""
    waiting = Difference("engine order", MARKET, "tP", "")
    assert _to_ask([waiting]) == []
    assert _to_ask([waiting, Difference("engine position", MARKET, MARKET, "")]) == ["tP"]


def test_a_position_of_ours_that_no_trade_minds_is_told_and_closed(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        with node(one) as running:
            running.looks()
            one.write(planned(replace(plan, stage="closed", exit_reason="lost")))
            running.turns_until(lambda: running.closed)
        assert running.closed[0] == MARKET
        assert any("unminded position" in words for _, words in running.told)
