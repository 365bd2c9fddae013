"""A node that died on a market which the venue trades no more: the next one starts, and minds what is held there."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import MARKET, OTHER, START, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets.exits.plan import ExitPlan
from trading_assets.journal import JOURNAL_FILE, Journal
from trading_assets.strategies.instruments import raw_symbol
from trading_assets.strategies.orders.journal_rows import plan_row
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.venues.account.base import RestAccount, text
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

LIVE = {"TRADING_NODE__MODE": "live", "TRADING_NODE__RECONCILE_S": "2"}
NOWHERE = "postgresql://trading@127.0.0.1:1/trading"
"""A store that nobody serves."""
IDS = OrderIds()


def account_of(one: Desk) -> RestAccount:
    keys = Credentials(REHEARSAL_KEY, REHEARSAL_SECRET)
    markets = [MARKET, OTHER]
    return make_account("binance", "perpetual", keys, markets, place="replay", base_url=one.server.url_http)


def place(one: Desk, market: str, signed: float, client_id: str) -> None:
    """An order at the market, as the node's adapter sends it."""
    account = account_of(one)
    asked = {"symbol": raw_symbol(market), "side": "BUY" if signed > 0 else "SELL", "type": "MARKET"}
    asked |= {"quantity": text(signed), "newClientOrderId": account._ids.wire(client_id)}
    account._requests.call("fapiPrivatePostOrder", asked)


def write(one: Desk, *rows: tuple[str, dict[str, Any]]) -> None:
    with closing(Journal(one.settings.live_dir / JOURNAL_FILE, "live-replay")) as journal:
        journal.record_all(rows)


def order_row(plan: TradePlan, order_id: str, purpose: str, status: str) -> tuple[str, dict[str, Any]]:
    row = {"ts": START, "market": plan.market, "order_id": order_id, "signal_id": "s", "purpose": purpose}
    row |= {"side": "buy" if purpose == "entry" else "sell", "quantity": 10.0, "price": None}
    kind = "market" if purpose == "entry" else "stop_market"
    return "orders", {**row, "order_type": kind, "status": status, "reason": ""}


def entered(one: Desk, market: str) -> TradePlan:
    """What a node leaves that dies when its entry is sent: it fills, and has no stop."""
    plan = TradePlan(
        market=market,
        signal_id="s",
        probability=0.6,
        known_at=START,
        expires_at=START + timedelta(hours=30),
        exits=ExitPlan.bracket(0.3, 0.2, timedelta(hours=30)),
        quantity=10.0,
        entry_order_id=IDS.entry(market, "s", START),
        sent=1,
    )
    write(one, ("plans", plan_row(plan, START)), order_row(plan, plan.entry_order_id, "entry", "initialized"))
    place(one, market, plan.quantity, plan.entry_order_id)
    return plan


def stopped(one: Desk, market: str) -> TradePlan:
    """What a node leaves that dies when the stop of its trade rests."""
    plan = entered(one, market).filled(10.0, 100.0)
    plan, stop = IDS.next(replace(plan, stop_price=50.0), "stop_loss")
    account, plan = account_of(one), replace(plan, stop_order_id=stop)
    asked = {"symbol": raw_symbol(market), "side": "SELL", "type": "STOP_MARKET", "algoType": "CONDITIONAL"}
    asked |= {"quantity": "10", "triggerPrice": "50", "reduceOnly": "true", "clientAlgoId": account._ids.wire(stop)}
    account._requests.call("fapiPrivatePostAlgoOrder", asked)
    sent = [order_row(plan, stop, "stop_loss", status) for status in ("initialized", "accepted")]
    write(one, ("plans", plan_row(plan, START)), *sent)
    return plan


def last_plan(one: Desk) -> TradePlan:
    plans = (TradePlan.from_json(text) for text in one.journal()["plans"]["plan"])
    return [plan for plan in plans if plan.signal_id == "s"][-1]


def assert_nothing_is_left(one: Desk, market: str, reason: str) -> None:
    """The trade is closed in the journal for this reason, and at the venue nothing of it is open."""
    assert (last_plan(one).stage, last_plan(one).exit_reason) == ("closed", reason)
    assert raw_symbol(market) not in one.server.account.positions
    assert account_of(one).open_orders([market]) == []
    made = one.journal()["positions"].filter(market=market, event="closed")["realized_pnl"].to_list()
    statement = one.server.account.statement().filter(market=market)["amount"].sum()
    assert made == [pytest.approx(statement, abs=0.005)]


def test_a_position_without_a_stop_is_closed_and_the_other_markets_are_traded(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40, markets=(MARKET, OTHER), further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        entered(one, OTHER)
        one.faults.next("settling", symbol=raw_symbol(OTHER))
        process = one.start()
        try:
            wait_for(lambda: last_plan(one).stage == "closed", while_alive=process)
            wait_for(lambda: one.signals().height >= 2, while_alive=process)
            beat = wait_for(lambda: one.status().heartbeat, while_alive=process)
        finally:
            process.terminate()
            code, output = finish(process)
        assert code == 0, output
        assert_nothing_is_left(one, OTHER, "unprotected")
        why = "the venue does not have NOISEUSDT-PERP.BINANCE: its status is SETTLING"
        assert one.told("market missing") == [
            f"{OTHER}: {why}; the trade that the journal holds open there is minded through the account"
        ]
        assert beat.refused[OTHER] == why
        assert any("+10 is held, and no stop of its size rests" in words for words in one.told("account differs"))
        assert set(one.signals()["market"]) == {MARKET}
        assert "enter" in one.signals()["action"].to_list()


def test_a_position_whose_stop_rests_keeps_it_until_the_venue_settles_it(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40, markets=(MARKET, OTHER), further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        plan = stopped(one, OTHER)
        one.faults.next("settling", symbol=raw_symbol(OTHER))
        process = one.start()
        try:
            wait_for(lambda: one.signals().height >= 2, while_alive=process)
            assert [order.client_id for order in account_of(one).open_orders([OTHER])] == [plan.stop_order_id]
            assert last_plan(one).stage == "open"
            one.faults.next("delisted", symbol=raw_symbol(OTHER))
            wait_for(lambda: last_plan(one).stage == "closed", while_alive=process)
        finally:
            process.terminate()
            code, output = finish(process)
        assert code == 0, output
        assert_nothing_is_left(one, OTHER, "liquidation")
        (settled,) = [fill for fill in one.server.account.fills if fill.client_id.startswith("settlement_autoclose")]
        assert one.journal()["fills"].filter(market=OTHER)["price"].to_list()[-1] == float(settled.price)


def test_a_kill_closes_what_is_held_on_a_market_that_the_engine_does_not_know_and_needs_no_store(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40, markets=(MARKET, OTHER), further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        stopped(one, OTHER)
        one.faults.next("settling", symbol=raw_symbol(OTHER))
        one.environment |= {"TRADING_STORE__URL": NOWHERE}
        process = one.start()
        try:
            wait_for(lambda: one.trades and one.server.account.orders, while_alive=process)
            told = finish(one.start("kill", module="trading_cli"))
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        assert told[0] == 0, told[1]
        assert "no node is running; nothing is open" in told[1]
        assert_nothing_is_left(one, OTHER, "kill")
        assert one.server.account.positions == {}
        assert account_of(one).open_orders([MARKET, OTHER]) == []


def test_a_node_whose_only_market_is_settled_minds_it_and_then_ends(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40, further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        entered(one, MARKET)
        one.faults.next("settling", symbol=raw_symbol(MARKET))
        code, output = finish(one.start())
        assert (code, "the venue does not have SYNAUSDT-PERP.BINANCE" in output) == (2, True), output
        assert_nothing_is_left(one, MARKET, "unprotected")


def test_what_a_closed_trade_has_left_resting_on_its_only_market_is_canceled_before_the_node_ends(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40, further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        plan = stopped(one, MARKET)
        account_of(one).close(MARKET, plan.quantity)
        one.faults.next("settling", symbol=raw_symbol(MARKET))
        code, output = finish(one.start())
        assert (code, "the venue does not have SYNAUSDT-PERP.BINANCE" in output) == (2, True), output
        assert_nothing_is_left(one, MARKET, "kill")
        assert one.journal()["orders"].filter(order_id=plan.stop_order_id)["status"].to_list()[-1] == "canceled"


def test_what_another_hand_holds_on_a_market_that_is_not_traded_does_not_keep_the_node_from_starting(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40, markets=(MARKET, OTHER), further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        place(one, OTHER, 3.0, "web_1")
        one.faults.next("settling", symbol=raw_symbol(OTHER))
        process = one.start()
        try:
            wait_for(lambda: one.signals().height >= 1, while_alive=process)
        finally:
            process.terminate()
            code, output = finish(process)
        assert code == 0, output
        assert one.server.account.positions[raw_symbol(OTHER)].quantity == 3
