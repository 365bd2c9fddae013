"""A node hears from its account what no event told it: what ended while it was dead, and what another hand did."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets.journal import JOURNAL_FILE
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.reconciliation.differences import ELSEWHERE
from trading_live.reconciliation.statement import beside
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.venues.account.base import RestAccount, text
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

LIVE = {"TRADING_NODE__MODE": "live", "TRADING_NODE__RECONCILE_S": "2"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    """A node's entry fills in parts, and it is killed with the trade open, which ends at the venue.

    The next one's trade is closed by another hand. A third one finds that somebody else has a position on its market.
    """
    with desk(tmp_path_factory.mktemp("account"), live_store_file, speed=300, hours=40, further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        account = account_of(one)
        one.faults.next("filled_in_parts")
        process = one.start()
        try:
            one.kill(process, when=lambda: one.protected)
            one.server.go_on()
            wait_for(lambda: not one.server.account.positions)
            one.server.pause()
            process = one.start()
            wait_for(lambda: one.trades, while_alive=process)
            one.notes["ended"] = [plan.exit_reason for plan in plans(one) if plan.stage == "closed"]
            one.server.go_on()
            one.freeze(lambda: one.protected, process)
            (held,) = account.positions()
            by_hand(account, "SELL" if held.quantity > 0 else "BUY", text(held.quantity), "web_1", reduceOnly="true")
            wait_for(lambda: is_let_go(one), while_alive=process)
            wait_for(lambda: not account.open_orders([MARKET]), while_alive=process)
            process.send_signal(signal.SIGTERM)
            one.notes["end"] = finish(process)
            one.notes["journal"] = one.journal()
            one.notes["statement"] = beside(account, one.settings.live_dir / JOURNAL_FILE, OrderIds().is_ours)
            one.notes["booked"] = sorted(str(fill.id) for fill in one.server.account.fills)
            by_hand(account, "BUY", "1", "web_2")
            process = one.start()
            wait_for(lambda: one.trades, while_alive=process)
            one.server.go_on()
            later = one.server.now + timedelta(minutes=45)
            wait_for(lambda: newest_bar(one) >= later, while_alive=process)
            process.send_signal(signal.SIGTERM)
            one.notes["last end"] = finish(process)
        finally:
            process.kill()
        yield one


def is_let_go(one: Desk) -> bool:
    """Whether the account has agreed since it was found that another hand had closed the position."""
    told = one.journal()["node"].select("event", "detail").rows()
    found = [number for number, (_, words) in enumerate(told) if "closed by another hand" in words]
    return bool(found) and any(event == "account agrees" for event, _ in told[found[0] :])


def newest_bar(one: Desk) -> datetime:
    """The end of the newest decision bar that the node has heard of."""
    beat = one.status().heartbeat
    assert beat is not None
    return beat.last_bars.get(MARKET, START)


def account_of(one: Desk) -> RestAccount:
    keys = Credentials(REHEARSAL_KEY, REHEARSAL_SECRET)
    url = one.server.url_http
    return make_account("binance", "perpetual", keys, [MARKET], place="replay", base_url=url, timeout_s=60)


def by_hand(account: RestAccount, side: str, quantity: str, client_id: str, **more: str) -> None:
    """An order that the node did not send."""
    order = {"symbol": "SYNAUSDT", "type": "MARKET", "side": side, "quantity": quantity, "newClientOrderId": client_id}
    account._requests.call("fapiPrivatePostOrder", order | more)


def plans(one: Desk) -> list[TradePlan]:
    return [TradePlan.from_json(plan) for plan in one.journal()["plans"]["plan"]]


def test_a_trade_that_ended_while_no_node_ran_ended_by_its_own_order(told: Desk) -> None:
    assert set(told.notes["ended"]) <= {"take_profit", "stop_loss"}
    assert told.notes["ended"]
    assert any("unseen fill" in words for words in told.told("found at the venue"))


def test_a_position_closed_by_another_hand_stops_its_market_ends_its_trade_and_is_let_go(told: Desk) -> None:
    assert any("closed by another hand" in words for words in told.told("account differs"))
    assert (plans(told)[-1].stage, plans(told)[-1].exit_reason) == ("closed", "by_hand")
    theirs = told.journal()["fills"].filter(pl.col("order_id").str.starts_with(ELSEWHERE))
    assert theirs["quantity"].sum() == pytest.approx(plans(told)[-1].quantity)


def test_journal_and_statement_are_equal_in_the_end(told: Desk) -> None:
    assert told.notes["end"][0] == 0, told.notes["end"][1]
    assert told.notes["statement"].agrees, told.notes["statement"]
    fills = told.notes["journal"]["fills"]
    assert sorted(fills["trade_id"]) == told.notes["booked"], "none lost, none twice"


def test_an_entry_that_fills_in_parts_is_one_trade_and_protected_as_a_whole(told: Desk) -> None:
    first = plans(told)[0]
    parts = told.notes["journal"]["fills"].filter(order_id=first.entry_order_id)
    assert parts.height > 1
    assert parts["quantity"].sum() == pytest.approx(first.quantity)
    stops = told.notes["journal"]["orders"].filter(signal_id=first.signal_id, purpose="stop_loss", status="accepted")
    assert stops["quantity"].to_list()[-1] == pytest.approx(first.quantity)


def test_a_position_makes_what_its_fills_come_to_whoever_was_killed_meanwhile(told: Desk) -> None:
    fills, closed = told.notes["journal"]["fills"], told.notes["journal"]["positions"].filter(event="closed")
    sign = pl.when(pl.col("side") == "buy").then(-1).otherwise(1)
    earned = (sign * pl.col("quantity") * pl.col("price") - pl.col("fee")).sum()
    made = fills.group_by("signal_id").agg(earned=earned).join(closed, on="signal_id")
    assert made.height == closed.height >= 2, "one row each, also of what another hand has closed"
    assert made["earned"].to_list() == pytest.approx(made["realized_pnl"].to_list(), abs=1e-6)


def test_a_market_on_which_somebody_else_has_a_position_is_left_alone(told: Desk) -> None:
    assert told.notes["last end"][0] == 0, told.notes["last end"][1]
    (words,) = told.told("market left alone")
    assert "the account holds 1 that no plan explains" in words
    before = told.notes["journal"]["signals"]["seq"].max()
    refused = told.journal()["signals"].filter(pl.col("seq") > before)
    assert "enter" not in refused["action"].to_list()
    (held,) = account_of(told).positions()
    assert held.quantity == 1.0
    assert not account_of(told).open_orders([MARKET])
