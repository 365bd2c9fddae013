"""The node trades at the local exchange through Bybit's adapter: bars, orders, account and kill in Bybit's words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import Desk, beside, desk, finish, wait_for
from tests.live.plans import MOVING_PLAN
from tests.live.soak.truth import differences
from trading_assets.journal import JOURNAL_FILE, read_since
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_cli.main import app
from trading_live.reconciliation import statement
from trading_live.venues.account.open import account_of

BYBIT = {"TRADING_NODE__MODE": "live", "TRADING_NODE__LEVERAGE": "5", "TRADING_NODE__VENUE": "bybit"}
IDS = OrderIds()


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    """Trades of a model that enters whenever it may; the kill switch ends the node with one open."""
    with desk(tmp_path_factory.mktemp("bybit"), live_store_file, speed=900, hours=40, further=BYBIT) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir, exit_plan=MOVING_PLAN))
        process = one.start()
        try:
            wait_for(lambda: closed(one) and one.protected, while_alive=process)
            one.notes["kill"] = beside(lambda: CliRunner().invoke(app, ["kill"]))
            one.notes["end"] = finish(process)
        finally:
            process.kill()
        one.notes["journal"] = read_since(one.settings.live_dir / JOURNAL_FILE, 0)
        yield one


def closed(one: Desk) -> list[TradePlan]:
    plans = (TradePlan.from_json(text) for text in one.journal()["plans"]["plan"])
    return [plan for plan in plans if plan.stage == "closed"]


def test_bars_and_orders_go_by_bybits_paths_alone(traded: Desk) -> None:
    asked = {one.path for one in traded.faults.asked}
    assert {"/v5/market/kline", "/v5/public/linear", "/v5/private", "/v5/trade"} <= asked
    own = {"/replay/heard", "/fapi/v1/time", "/fapi/v1/exchangeInfo"}  # what every node asks the replay's clock by
    assert {path for path in asked if not path.startswith("/v5/")} <= own


def test_every_fill_of_the_venue_is_in_the_journal_as_the_venue_booked_it(traded: Desk) -> None:
    there, here = traded.server.account.fills, traded.notes["journal"]["fills"]
    booked = [(f.client_id, str(f.id), f.side.lower(), float(f.quantity), float(f.price), float(f.fee)) for f in there]
    assert booked
    assert [*here.select("order_id", "trade_id", "side", "quantity", "price", "fee").iter_rows()] == booked


def test_stops_rest_there_as_conditional_orders_that_only_reduce_and_so_do_targets(traded: Desk) -> None:
    account = traded.server.account
    entries = [one for one in account.orders if IDS.purpose_of(one.client_id) == "entry"]
    assert len(entries) >= 2
    for entry in entries:
        mine = [one for one in account.conditionals if one.client_id.startswith(entry.client_id[:-4])]
        first = min(mine, key=lambda one: one.created_ms)
        assert (first.kind, first.quantity, first.reduce_only) == ("STOP_MARKET", entry.filled, True)
        for before, after in pairwise(mine):
            assert before.updated_ms >= after.created_ms, "never without one"
    targets = [one for one in account.orders if IDS.purpose_of(one.client_id) == "take_profit"]
    assert {(one.kind, one.reduce_only) for one in targets} == {("LIMIT", True)}


def test_a_kill_leaves_nothing_open_and_nothing_resting(traded: Desk) -> None:
    account, kill = traded.server.account, traded.notes["kill"]
    assert kill.exit_code == 0, kill.output
    assert "no node is running; nothing is open" in " ".join(kill.output.split())
    assert traded.notes["end"][0] == 0, traded.notes["end"][1]
    assert account.positions == {}
    assert not [one for one in account.orders if one.open]
    assert not [one for one in account.conditionals if one.open]
    assert closed(traded)[-1].exit_reason == "kill"


def test_journal_and_venue_agree_to_the_cent_and_order_by_order(traded: Desk) -> None:
    account = account_of(traded.settings, [MARKET])
    found = statement.beside(account, traded.settings.live_dir / JOURNAL_FILE, IDS.is_ours)
    assert found.agrees, found
    assert {"realized", "fee", "balance"} <= {line.kind for line in found.lines}
    assert differences(traded, account) == []
