"""A kill with no node running closes at the venue what the journal has open, and the next start knows of it."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.live.closing.spot import SPOT_MARKET, spot_venue
from tests.live.conftest import MARKET, START
from tests.live.rehearsed import IDS, STILL, desk, opened, order_id, order_row, plan_of, planned
from trading_assets.journal import JOURNAL_FILE, Journal, read_state
from trading_live.closing.dead_node import close_journalled, has_open_trades, journal_what_happened
from trading_live.operations.heartbeat import NodeLock
from trading_live.operations.status import open_positions
from trading_live.recovery.at_venue import recover_at_venue

PLACE = "binance replay"


def test_what_the_journal_has_open_is_closed_and_the_next_start_finds_it(tmp_path: Path) -> None:
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        (found,) = close_journalled(one.path, lambda _: one.account, IDS, place=PLACE, otherwise=[])
        assert found.is_flat
        assert sum(order.filled for order in found.closed) == pytest.approx(10.0)
        assert one.account.positions() == []
        assert one.account.open_orders([MARKET]) == []
        after = recover_at_venue(one.path, lambda _: one.account, IDS)
        assert after.holdings == ()
        assert after.plans == ()


def test_what_was_closed_is_in_the_journal_before_the_next_start(tmp_path: Path) -> None:
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        folder = one.path.parent
        assert one.path.name == JOURNAL_FILE
        close_journalled(one.path, lambda _: one.account, IDS, place=PLACE, otherwise=[])
        assert [held.quantity for held in open_positions(read_state(one.path))] == [10.0]
        assert journal_what_happened(folder, "node", lambda _: one.account, IDS, place=PLACE)
        assert open_positions(read_state(one.path)) == ()
        assert not has_open_trades(one.path)
        lock = NodeLock(folder)
        lock.acquire()
        assert not journal_what_happened(folder, "node", lambda _: one.account, IDS, place=PLACE), "a node runs"
        lock.release()


def test_what_an_entry_filled_before_the_node_heard_of_it_is_closed(tmp_path: Path) -> None:
    """Killed between an order and its fill: the journal holds an intention and no position."""
    with desk(tmp_path, STILL, STILL) as one:
        plan = plan_of()
        one.write(planned(plan), order_row(plan, plan.entry_order_id))
        one.market(plan.entry_order_id, 10.0)
        assert has_open_trades(one.path)
        (found,) = close_journalled(one.path, lambda _: one.account, IDS, place=PLACE, otherwise=[])
        assert sum(order.filled for order in found.closed) == pytest.approx(10.0)
        assert one.account.positions() == []


def test_what_the_venue_closed_meanwhile_is_not_closed_again_where_another_hand_holds_as_much(tmp_path: Path) -> None:
    with desk(tmp_path, STILL, STILL) as one:
        plan = opened(one)
        one.market(order_id("1", "x", 9), -plan.quantity, reduce=True)
        one.market("by-hand", 4.0)
        (found,) = close_journalled(one.path, lambda _: one.account, IDS, place=PLACE, otherwise=[])
        assert found.closed == []
        assert [held.quantity for held in one.account.positions()] == [4.0]


def test_without_a_readable_journal_what_is_held_on_the_nodes_markets_is_closed(tmp_path: Path) -> None:
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        broken = tmp_path / "broken.sqlite"
        broken.write_bytes(b"no database" * 100)
        (found,) = close_journalled(broken, lambda _: one.account, IDS, place=PLACE, otherwise=[MARKET])
        assert found.is_flat
        assert one.account.positions() == []


def test_a_journal_that_holds_nothing_asks_nobody(tmp_path: Path) -> None:
    def nobody(_: object) -> object:
        raise AssertionError("asked")

    empty = tmp_path / "journal.sqlite"
    with closing(Journal(empty, "node")):
        pass
    assert not has_open_trades(empty)
    assert close_journalled(empty, nobody, IDS, place=PLACE, otherwise=[MARKET]) == []  # type: ignore[arg-type]


def test_what_the_last_digits_of_a_sum_leave_of_a_closed_trade_is_nothing(tmp_path: Path) -> None:
    plan = plan_of(stage="closed")
    bought, sold = ("buy", (120.236, 0.198)), ("sell", (59.125, 59.125, 2.184))
    parts = [(side, quantity) for side, quantities in (bought, sold) for quantity in quantities]
    common = {"ts": START, "market": MARKET, "order_id": plan.entry_order_id, "signal_id": plan.signal_id}
    with closing(Journal(tmp_path / JOURNAL_FILE, "node")) as journal:
        for number, (side, quantity) in enumerate(parts):
            row = {"side": side, "quantity": quantity, "price": 100.0, "fee": 0.0}
            journal.record_all([("fills", common | row | dict.fromkeys(("event_id", "trade_id"), f"{number}"))])
        journal.record_all([planned(plan)])
    assert sum(quantity if side == "buy" else -quantity for side, quantity in parts) != 0
    assert not has_open_trades(tmp_path / JOURNAL_FILE)


def test_a_journal_that_is_gone_says_nothing_of_what_is_open(tmp_path: Path) -> None:
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        for file in one.path.parent.glob(f"{one.path.name}*"):
            file.unlink()
        assert has_open_trades(one.path)
        (found,) = close_journalled(one.path, lambda _: one.account, IDS, place=PLACE, otherwise=[MARKET])
        assert found.is_flat
        assert one.account.positions() == []
        assert one.account.open_orders([MARKET]) == []


def test_of_a_balance_is_ours_without_a_journal_what_our_stop_rests_for(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"no database" * 100)
    with spot_venue("1.1") as one:
        one.rest(order_id("1", "s", 1), "0.3", filled="0.2")
        (found,) = close_journalled(broken, lambda _: one.account, IDS, place=PLACE, otherwise=[SPOT_MARKET])
        assert found.is_flat
        assert one.sold == ["0.1"]
        assert one.owned == Decimal("1.0")
        assert one.resting == []


def test_a_balance_of_which_nothing_of_ours_rests_is_told_and_not_sold(tmp_path: Path) -> None:
    with spot_venue("1.1") as one:
        one.rest("by-hand", "0.3")
        missing = tmp_path / "journal.sqlite"
        (found,) = close_journalled(missing, lambda _: one.account, IDS, place=PLACE, otherwise=[SPOT_MARKET])
        assert not found.is_flat
        assert "1.1 is owned, and no journal says what of it is ours" in found.problem
        assert one.sold == []
        assert one.resting == ["by-hand"]
    with spot_venue("0.00000877") as one:
        (found,) = close_journalled(missing, lambda _: one.account, IDS, place=PLACE, otherwise=[SPOT_MARKET])
        assert found.is_flat, "what is below a step is nothing"
