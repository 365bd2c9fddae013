"""What happened at the venue while no node ran is found before anything is concluded, and told by its true reason."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.live.conftest import MARKET, START
from tests.live.rehearsed import (
    IDS,
    STILL,
    Desk,
    begin_again,
    desk,
    opened,
    order_id,
    order_row,
    plan_of,
    planned,
)
from trading_assets.journal import Journal, newest_events, read_session, read_state
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.execution.start_checks import Known, check_holdings
from trading_live.recovery.at_venue import FOUND_EVENT, recover_at_venue
from trading_live.recovery.from_journal import Recovered
from trading_live.replay import Faults
from trading_live.replay.orders.exchange.model import Terms
from trading_live.venues.account import VenueError

STOPPED = (100.0, 100.0, 94.0, 94.5, 1_000_000.0)
RISEN = (100.0, 104.5, 100.0, 104.0, 1_000_000.0)
HALFWAY = (100.0, 102.5, 100.0, 102.0, 1_000_000.0)
CRASHED = (100.0, 100.0, 50.0, 50.0, 100_000_000.0)


def restart(one: Desk) -> Recovered:
    """As a node's start does: what is found is written, and a second start finds nothing more."""
    found = recover_at_venue(one.path, lambda _: one.account, IDS)
    with closing(Journal(one.path, "node")) as journal:
        journal.record_all(found.repairs)
    again = recover_at_venue(one.path, lambda _: one.account, IDS)
    left = [event["detail"] for kind, event in again.repairs if kind == "node"]
    assert [kind for kind, _ in again.repairs if kind != "node"] == []
    assert all("left alone" in detail for detail in left)
    assert again.holdings == found.holdings or [h.quantity for h in again.holdings] == [
        h.quantity for h in found.holdings
    ]
    return found


def last_plan(one: Desk) -> TradePlan:
    return TradePlan.from_json(newest_events(one.path, "plans", 1)["plan"][0])


def assert_journal_is_the_venues(one: Desk) -> None:
    """Each fill at the venue, with its price, fee and time."""
    journalled = read_session(one.path)["fills"].sort("trade_id")
    true = sorted(one.account.fills(MARKET, START - timedelta(minutes=1)), key=lambda fill: fill.trade_id)
    assert journalled["trade_id"].to_list() == [fill.trade_id for fill in true]
    assert journalled["price"].to_list() == [fill.price for fill in true]
    assert journalled["fee"].to_list() == [fill.fee for fill in true]
    assert journalled["ts"].to_list() == [fill.ts for fill in true]
    held = sum(float(position.quantity) for position in one.server.account.positions.values())
    assert read_state(one.path).markets[MARKET].held == pytest.approx(held)


@pytest.mark.parametrize(("candle", "reason"), [(STOPPED, "stop_loss"), (RISEN, "take_profit")], ids=["stop", "target"])
def test_a_trade_that_ended_while_the_node_was_down_ends_by_its_true_reason(tmp_path, candle, reason):
    with desk(tmp_path, STILL, candle, STILL) as one:
        opened(one)
        one.pass_time(3)
        found = restart(one)
        assert found.plans == ()
        assert found.holdings == ()
        assert (last_plan(one).stage, last_plan(one).exit_reason) == ("closed", reason)
        assert_journal_is_the_venues(one)
        closed = read_session(one.path)["positions"].filter(event="closed")
        statement = one.server.account.statement().filter(market=MARKET)["amount"].sum()
        assert closed["realized_pnl"].sum() == pytest.approx(statement, abs=0.005)


def test_a_replay_that_begins_again_is_not_taken_for_the_one_before(tmp_path):
    """Its orders have the same ids, and its trades the same numbers."""
    with desk(tmp_path / "first", STILL, STOPPED, STILL) as one:
        opened(one)
        one.pass_time(3)
        restart(one)
        former = one.path
    with desk(tmp_path / "again", STILL, STOPPED, STILL) as one:
        begin_again(former, one)
        opened(one)
        one.pass_time(3)
        assert restart(one).holdings == ()
        assert (last_plan(one).stage, last_plan(one).exit_reason) == ("closed", "stop_loss")
        assert_journal_is_the_venues(one)


def test_what_is_found_does_not_make_the_journal_newer_than_the_clock_that_was_read_before(tmp_path: Path) -> None:
    """A replay's clock that stands before the journal begins a session anew; what it finds must not look like that."""
    with desk(tmp_path, STILL, STOPPED, STILL) as one:
        opened(one)
        before = read_state(one.path).newest
        one.pass_time(3)
        found = recover_at_venue(one.path, lambda _: one.account, IDS)
        assert found.repairs
        assert found.newest is not None
        assert found.newest.isoformat() == datetime.fromisoformat(before).isoformat()


def test_a_target_that_filled_in_part_leaves_a_trade_that_goes_on(tmp_path):
    with desk(tmp_path, STILL, HALFWAY, STILL) as one:
        opened(one, targets=2)
        one.pass_time(3)
        found = restart(one)
        (plan,) = found.plans
        assert plan.stage == "open"
        assert [target.is_filled for target in plan.targets] == [True, False]
        assert plan.left == pytest.approx(5.0)
        assert [holding.quantity for holding in found.holdings] == [pytest.approx(5.0)]
        assert_journal_is_the_venues(one)


def test_a_liquidation_is_called_one(tmp_path):
    with desk(tmp_path, STILL, CRASHED, CRASHED, terms=Terms(balance=10_000)) as one:
        plan = plan_of(quantity=1_500.0)
        one.write(planned(plan), order_row(plan, plan.entry_order_id))
        one.market(plan.entry_order_id, 1_500.0)
        one.pass_time(3)
        assert not one.server.account.positions
        found = restart(one)
        assert found.plans == ()
        assert (last_plan(one).stage, last_plan(one).exit_reason) == ("closed", "liquidation")
        assert read_state(one.path).markets[MARKET].held == pytest.approx(0.0)


def test_an_entry_whose_answer_was_lost_is_found_and_the_trade_goes_on(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        plan = plan_of()
        one.write(planned(plan), order_row(plan, plan.entry_order_id))
        one.market(plan.entry_order_id, 10.0)
        found = restart(one)
        (entered,) = found.plans
        assert entered.stage == "open"
        assert entered.stop_price == pytest.approx(entered.entry_price * 0.95)
        assert entered.quantity == 10.0
        assert not entered.stop_order_id  # the strategy sends it as soon as it runs
        assert_journal_is_the_venues(one)


def test_an_entry_that_never_arrived_is_unfilled_not_lost(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        plan = plan_of()
        one.write(planned(plan), order_row(plan, plan.entry_order_id))
        found = restart(one)
        assert found.plans == ()
        assert (last_plan(one).stage, last_plan(one).exit_reason) == ("closed", "unfilled")
        assert newest_events(one.path, "orders", 1)["status"][0] == "rejected"


def test_a_stop_that_was_sent_but_not_journalled_is_the_trades_own(tmp_path):
    """The process died between sending the next stop and writing of it; the stop was hit later on."""
    with desk(tmp_path, STILL, STOPPED, STILL) as one:
        opened(one)
        one.account.cancel(MARKET, order_id("1", "s", 1))
        one.stop(order_id("1", "s", 7), -10.0, 96.0)
        one.pass_time(3)
        found = restart(one)
        assert found.plans == ()
        assert last_plan(one).exit_reason == "stop_loss"
        assert last_plan(one).stop_order_id == order_id("1", "s", 7)
        assert_journal_is_the_venues(one)


def test_orders_that_somebody_canceled_are_told_and_the_trade_goes_on(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        one.account.cancel_all(MARKET)
        found = restart(one)
        (plan,) = found.plans
        assert plan.stage == "open"
        ended = read_session(one.path)["orders"].filter(status="canceled")
        assert ended["reason"].to_list() == ["found at the venue"] * 2
        assert read_state(one.path).orders == {}


def test_a_position_that_another_hand_closed_is_said_so(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        one.market("web_1", -10.0, reduce=True)
        found = restart(one)
        assert found.plans == ()
        assert last_plan(one).exit_reason == "by_hand"
        assert read_state(one.path).markets[MARKET].held == pytest.approx(0.0)


def test_a_close_by_the_command_is_a_kill(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        (position,) = one.account.positions()
        one.account.close(MARKET, position.quantity)
        restart(one)
        assert last_plan(one).exit_reason == "kill"


def test_a_fill_whose_order_the_venue_denies_for_a_moment_is_no_other_hands(tmp_path):
    """That of a stop of a former trade, which no journal asks about by its name."""
    with desk(tmp_path, STILL, (100.0, 100.0, 95.4, 95.5, 1_000_000.0), STILL) as one:
        opened(one)
        refused = order_id("9", "s", 1)
        one.write(order_row(plan_of("9"), refused, "rejected"))
        one.stop(refused, -4.0, 95.5)
        one.pass_time(2)
        one.account._client_ids.clear()  # a start knows no order yet
        asked = one.account._requests.call
        denied: list[object] = []

        def call(endpoint, *more, **options):
            if endpoint == "fapiPrivateGetOrder" and "orderId" in more[0] and not denied:
                return denied.append(more)
            return asked(endpoint, *more, **options)

        one.account._requests.call = call
        restart(one)
        assert len(denied) == 1
        fills = read_session(one.path)["fills"]
        assert fills["order_id"].to_list()[-1] == refused
        assert read_state(one.path).markets[MARKET].held == pytest.approx(6.0)


def test_a_filled_stop_that_is_asked_for_by_its_name_and_not_found_is_known_by_its_fills(tmp_path: Path) -> None:
    """The venue knows neither the algo order nor the order that it became, and lists the fill."""
    faults = Faults()
    with desk(tmp_path, STILL, STOPPED, STILL, faults=faults) as one:
        plan = opened(one)
        one.pass_time(3)
        one.account._client_ids.clear()  # a start knows no order yet
        for path in ("GET /fapi/v1/order", "GET /fapi/v1/algoOrder"):
            faults.next("not_found", "not_found", path=path)
        assert restart(one).holdings == ()
        assert (last_plan(one).stage, last_plan(one).exit_reason) == ("closed", "stop_loss")
        stop = read_session(one.path)["orders"].filter(order_id=plan.stop_order_id)
        assert stop["status"].to_list()[-1] == "filled", "never had is not what is said of it beside its fill"
        assert_journal_is_the_venues(one)
        assert [asked.path for asked in faults.asked if asked.faults].count("/fapi/v1/algoOrder") == 2


@pytest.mark.parametrize("heard", [True, False], ids=["known", "unheard"])
def test_a_position_whose_entry_the_venue_has_forgotten_is_held_by_the_journal_or_refused_by_name(
    tmp_path: Path, heard: bool
) -> None:
    """The history of trades and orders goes back so far and no farther; what rests and what is held is told."""
    with desk(tmp_path, STILL, STOPPED, STILL) as one:
        plan = opened(one) if heard else entered_unheard(one)
        exchange = one.server.account.exchange
        exchange.fills.clear()
        del exchange.orders[next(each.id for each in one.server.account.orders if not each.open)]
        one.account._client_ids.clear()
        found = restart(one)
        if heard:
            assert [(each.signal_id, each.stage, each.stop_order_id) for each in found.plans] == [
                (plan.signal_id, "open", plan.stop_order_id)
            ]
            assert [holding.quantity for holding in found.holdings] == [10.0]
            one.pass_time(3)
            assert restart(one).plans == ()
            assert last_plan(one).exit_reason == "stop_loss"
        else:
            assert (found.plans, found.holdings) == ((), ())
            known = Known((), lambda _: True)
            refused = check_holdings(one.account, [MARKET], IDS, known, adopt=False)
            assert "holds 10 that no plan explains" in refused[MARKET]


def test_what_a_stranger_has_there_is_left_alone(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        one.market("web_1", 3.0)
        one.limit("web_2", 1.0, 90.0)
        found = restart(one)
        assert [holding.quantity for holding in found.holdings] == [10.0]
        assert "web_2" in [order.client_id for order in one.account.open_orders([MARKET])]
        told = read_session(one.path)["node"].filter(event=FOUND_EVENT)["detail"].to_list()
        assert sum("left alone" in detail for detail in told) == 2


def test_where_the_venue_does_not_answer_nothing_is_concluded(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
    before = read_session(one.path)
    with pytest.raises(VenueError, match="was not answered"):
        recover_at_venue(one.path, lambda _: one.account, IDS)
    assert all(frame.equals(before[kind]) for kind, frame in read_session(one.path).items())


def test_where_the_journal_holds_nothing_the_venue_is_not_asked(tmp_path):
    asked: list[str] = []

    class Nobody:
        def __getattr__(self, name: str) -> Callable[..., None]:
            asked.append(name)
            raise AssertionError(name)

    assert recover_at_venue(Path(tmp_path) / "journal.sqlite", lambda _: Nobody(), IDS).plans == ()
    assert asked == []


class Late:
    """An account that lists fills only after so many requests for them."""

    def __init__(self, account, after):
        self._account, self._left = account, after

    def __getattr__(self, name):
        return getattr(self._account, name)

    def fills(self, market, since):
        self._left -= 1
        return [] if self._left >= 0 else self._account.fills(market, since)


def entered_unheard(one: Desk) -> TradePlan:
    """An entry that has filled while the node was killed."""
    plan = plan_of()
    one.write(planned(plan), order_row(plan, plan.entry_order_id))
    one.market(plan.entry_order_id, 10.0)
    return plan


def test_an_entry_whose_fills_the_venue_lists_a_moment_later_is_found(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        entered_unheard(one)
        found = recover_at_venue(one.path, lambda _: Late(one.account, 2), IDS)
        assert [holding.quantity for holding in found.holdings] == [10.0]
        assert [plan.stage for plan in found.plans] == ["open"]


def test_an_entry_of_which_the_venue_lists_no_fill_is_not_called_unfilled(tmp_path):
    """Nobody would protect what it has bought; the start is tried again."""
    with desk(tmp_path, STILL, STILL) as one:
        plan = entered_unheard(one)
        with pytest.raises(VenueError, match=f"{plan.entry_order_id} has filled 10") as refused:
            recover_at_venue(one.path, lambda _: Late(one.account, 99), IDS)
        assert not refused.value.answered
        assert [holding.quantity for holding in restart(one).holdings] == [10.0]


def test_a_stop_of_which_the_venue_lists_no_fill_is_not_made_up(tmp_path: Path) -> None:
    """A fill at the price of entry would be in the books beside the true one."""
    with desk(tmp_path, STILL, STOPPED, STILL) as one:
        plan = opened(one)
        one.pass_time(3)
        with pytest.raises(VenueError, match=f"{plan.stop_order_id} has filled 10") as refused:
            recover_at_venue(one.path, lambda _: Late(one.account, 99), IDS)
        assert not refused.value.answered
        assert restart(one).holdings == ()
        assert last_plan(one).exit_reason == "stop_loss"
        assert_journal_is_the_venues(one)
