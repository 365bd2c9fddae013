"""The node with orders at a venue: every order through the adapter's signed requests, to the local exchange."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from tests.live.plans import MOVING_PLAN
from tests.live.soak.truth import differences
from trading_assets.divergence.stored import measure
from trading_assets.journal import JOURNAL_FILE, read_since
from trading_assets.store import open_store
from trading_assets.store.tables.outcomes import PARTS
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.reconciliation.statement import beside
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

LIVE = {"TRADING_NODE__MODE": "live", "TRADING_NODE__LEVERAGE": "5"}
IDS = OrderIds()


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    """Trades of a model that enters whenever it may; the node is killed with one open, goes on, and ends in order."""
    with desk(tmp_path_factory.mktemp("venue"), live_store_file, speed=900, hours=40, further=LIVE) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir, exit_plan=MOVING_PLAN))
        process = one.start()
        try:
            wait_for(lambda: len(closed(one)) >= 1, while_alive=process)
            one.kill(process, when=lambda: one.protected)
            one.notes["before"] = read_since(one.settings.live_dir / JOURNAL_FILE, 0)
            one.notes["resting"] = {c.client_id for c in one.server.account.conditionals if c.open}
            process = one.start()
            wait_for(lambda: one.trades, while_alive=process)
            one.notes["resting after"] = {c.client_id for c in one.server.account.conditionals if c.open}
            one.server.go_on()
            one.freeze(lambda: len(closed(one)) >= 3, process)  # nothing fills after the node's end
            process.send_signal(signal.SIGTERM)
            one.notes["end"] = finish(process)
            one.notes["journal"] = read_since(one.settings.live_dir / JOURNAL_FILE, 0)
        finally:
            process.kill()
        yield one


def closed(one: Desk) -> list[TradePlan]:
    plans = (TradePlan.from_json(text) for text in one.journal()["plans"]["plan"])
    return [plan for plan in plans if plan.stage == "closed"]


def test_every_fill_of_the_venue_is_in_the_journal_as_the_venue_booked_it(traded: Desk) -> None:
    there, here = traded.server.account.fills, traded.notes["journal"]["fills"]
    assert here["filled_by"].unique().to_list() == ["live"]
    booked = [
        (str(f.id), f.side.lower(), float(f.quantity), float(f.price), pytest.approx(float(f.fee))) for f in there
    ]
    assert [*here.select("trade_id", "side", "quantity", "price", "fee").iter_rows()] == booked
    assert traded.notes["end"][0] == 0, traded.notes["end"][1]


def test_a_node_is_ended_by_itself_and_not_by_its_engine_in_the_middle_of_an_entry(traded: Desk) -> None:
    told = [file.read_text() for file in (traded.settings.data_dir / "logs").glob("engine_*.jsonl")]
    assert not [text for text in told if "Received SIGTERM" in text]
    plans = [TradePlan.from_json(text) for text in traded.notes["journal"]["plans"]["plan"]]
    newest = {plan.signal_id: plan for plan in plans}
    assert "entering" not in {plan.stage for plan in newest.values()}


def test_what_the_fills_come_to_is_the_venues_statement(traded: Desk) -> None:
    fills = traded.notes["journal"]["fills"]
    ended = fills.filter(pl.col("signal_id").is_in([plan.signal_id for plan in closed(traded)]))
    sign = pl.when(pl.col("side") == "buy").then(-1).otherwise(1)
    earned = ended.select((sign * pl.col("quantity") * pl.col("price") - pl.col("fee")).sum()).item()
    open_fees = fills["fee"].sum() - ended["fee"].sum()
    booked = traded.server.account.statement().filter(pl.col("kind").is_in(["realized", "fee"]))["amount"].sum()
    if not traded.server.account.positions:
        assert earned - open_fees == pytest.approx(booked, abs=0.005)


def test_orders_are_known_at_the_venue_by_ids_that_follow_from_their_plans(traded: Desk) -> None:
    orders = traded.notes["journal"]["orders"]
    assert all(IDS.is_ours(one) for one in orders["order_id"])
    wire = {one.client_id.removeprefix("x-aHRE4BCj-R") for one in traded.server.account.orders}
    wire |= {one.client_id.removeprefix("x-aHRE4BCj-R") for one in traded.server.account.conditionals}
    accepted = orders.filter(pl.col("status") == "accepted")
    assert set(accepted["order_id"]) <= wire <= set(orders["order_id"])
    assert accepted["venue_order_id"].null_count() == 0
    assert (
        orders.filter(pl.col("status") == "initialized")["venue_order_id"].null_count()
        == orders.filter(pl.col("status") == "initialized").height
    )


def test_a_stop_of_the_positions_size_is_sent_with_the_last_fill_of_its_entry(traded: Desk) -> None:
    account, orders = traded.server.account, traded.notes["journal"]["orders"]
    for entry in (one for one in account.orders if IDS.purpose_of(one.client_id[-18:]) == "entry"):
        trade = entry.client_id[-18:-4]
        stops = [one for one in account.conditionals if one.client_id[-18:].startswith(trade)]
        first = min(stops, key=lambda one: one.created_ms)
        assert (first.quantity, first.reduce_only) == (entry.filled, True)
        assert sum(one.open for one in stops) <= 1
        mine = orders.filter(pl.col("order_id").str.starts_with(trade)).select("purpose", "status").rows()
        last = max(number for number, row in enumerate(mine) if row == ("entry", "filled"))
        assert mine[last + 1] == ("stop_loss", "initialized"), "nothing comes between"


def test_what_ends_a_trade_takes_the_rest_of_its_orders_along(traded: Desk) -> None:
    for plan in closed(traded):
        mine = IDS.of_trade(plan)
        resting = [one for one in traded.server.account.orders if one.open] + [
            one for one in traded.server.account.conditionals if one.open
        ]
        assert not [one.client_id for one in resting if one.client_id[-18:].startswith(mine)]
    assert {plan.exit_reason for plan in closed(traded)} <= {
        "trailing",
        "break_even",
        "stop_loss",
        "time",
        "take_profit",
    }


def test_a_stop_that_moves_is_replaced_by_one_that_rests_before_it_goes(traded: Desk) -> None:
    stops = [one for one in traded.server.account.conditionals if one.kind == "STOP_MARKET"]
    trades = [one.client_id[-18:-4] for one in stops]
    assert len(stops) > len(set(trades)), "a target filled, or a bar ended, and the stop moved"
    for before, after in pairwise(stops):
        if before.client_id[-18:-4] == after.client_id[-18:-4] and before.status == "CANCELED":
            assert before.updated_ms >= after.created_ms, "never without one"


def test_a_node_that_was_killed_finds_its_orders_at_the_venue_and_sends_none_again(traded: Desk) -> None:
    assert traded.notes["resting"] == traded.notes["resting after"]
    recovered = traded.notes["journal"]["node"].filter(pl.col("event") == "position recovered")
    assert recovered.height == 1
    assert "lost" not in {plan.exit_reason for plan in closed(traded)}


def test_the_venues_statement_stands_beside_the_journal_to_the_cent(traded: Desk) -> None:
    keys = Credentials(REHEARSAL_KEY, REHEARSAL_SECRET)
    url = traded.server.url_http
    account = make_account("binance", "perpetual", keys, [MARKET], place="replay", base_url=url, timeout_s=60)
    found = beside(account, traded.settings.live_dir / JOURNAL_FILE, IDS.is_ours)
    assert found.agrees, found
    assert {"realized", "fee", "balance"} <= {line.kind for line in found.lines}
    booked = traded.server.account.statement()["amount"].to_list()
    assert traded.notes["journal"]["payments"]["amount"].to_list() == pytest.approx(booked)


def test_orders_fills_position_and_statement_are_the_venues(traded: Desk) -> None:
    assert differences(traded) == []


def test_what_was_compared_while_it_ran_did_not_differ_in_the_end(traded: Desk) -> None:
    node = traded.notes["journal"]["node"].filter(pl.col("event").is_in(["account differs", "account agrees"]))
    assert node.filter(pl.col("detail").str.contains("lost order|unknown order|doubled fill|foreign")).is_empty(), node


def test_a_trade_is_followed_in_the_logs_by_one_id_from_its_bar_to_its_exit(traded: Desk) -> None:
    trade, logs = IDS.of_trade(closed(traded)[-1]), traded.settings.data_dir / "logs"
    found = [json.loads(line) for line in (logs / "node.log").read_text().splitlines() if trade in line]
    lines = [line for line in found if trade not in line.get("reason", "")]  # as of the next, which waits for its end
    assert {line["correlation_id"] for line in lines if "correlation_id" in line} == {trade}
    story = [(line["event"], line.get("purpose", "")) for line in lines]
    steps = [
        ("bar", ""),
        ("decision", ""),
        ("order initialized", "entry"),
        ("order submitted", "entry"),
        ("order accepted", "entry"),
        ("order filled", "entry"),
        ("fill", ""),
        ("order accepted", "stop_loss"),
        ("position closed", ""),
        ("trade closed", ""),
    ]
    places = [story.index(step) for step in steps]
    assert places == sorted(places), story
    decided = lines[story.index(("decision", ""))]
    assert (decided["action"], bool(decided["reason"])) == ("enter", True)
    assert trade not in traded.notes["end"][1], "as text, the terminal is spared"
    engine = "".join(file.read_text() for file in logs.glob("engine_*.jsonl"))
    assert f"client_order_id={trade}e000" in engine


def test_modes_were_set_before_the_first_order(traded: Desk) -> None:
    node = traded.notes["journal"]["node"]
    told = node.filter(pl.col("event") == "account changed")["detail"].to_list()
    assert told == [f"{MARKET}: leverage 20 -> leverage 5"]
    events = node["event"].to_list()
    assert events.index("account changed") < events.index("started")


def test_of_the_gap_to_the_backtest_at_most_a_basis_point_a_trade_is_unexplained(traded: Desk) -> None:
    found = measure(open_store(traded.settings.store_url), traded.settings)
    assert found.notes == ()
    mine = found.trades.filter(pl.col("live_exit").is_not_null())
    assert mine.height >= 2
    assert set(mine["filled_by"]) == {"live"}
    total = found.trades.select(pl.sum_horizontal(*PARTS)).to_series()
    assert (total - found.trades["gap_bps"]).abs().max() < 1e-6  # type: ignore[operator]
    assert found.trades["unexplained_bps"].abs().max() <= 1, found.trades.to_dicts()  # type: ignore[operator]
