"""What a start concludes of orders that ended at a venue in its own way: stops that failed, entries called refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.live.rehearsed import IDS, order_id, order_row, plan_of, planned
from tests.live.venues.account.documented import account_at, documented
from tests.live.venues.account.stories.kraken import KRAKEN_FUTURES, kf, kf_fill
from tests.live.venues.account.stories.okx import NOT_THERE, OKX, OKX_POSITION, ok, okx, okx_algo, okx_fill
from tests.live.venues.account.stories.story import T
from trading_assets.journal import JOURNAL_FILE, Journal, read_session
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.recovery.at_venue import recover_at_venue
from trading_live.recovery.from_journal import Recovered

AT = datetime.fromtimestamp(T / 1000, UTC)
OKX_MARKET, KRAKEN_MARKET = "okx:BTC/USDT:USDT", "kraken:BTC/USD:USD"
STOP = order_id("1", "s", 1)


def trade(market: str) -> TradePlan:
    known = AT - timedelta(minutes=1)
    plan = plan_of(market=market, quantity=1.0, known_at=known, expires_at=AT + timedelta(hours=6), entry_order_id="-")
    return replace(plan, entry_order_id=f"{IDS.of_trade(plan)}e000")


def started(answers: Mapping[str, Any], venue: str, plan: TradePlan, rows: list[Any], folder: Path) -> Recovered:
    """A start at a venue that answers so, with a journal of these rows."""
    path = folder / JOURNAL_FILE
    with documented(answers) as server, closing(Journal(path, "node")) as journal:
        journal.record_all(rows)
        account = account_at(server, venue, "perpetual", plan.market)
        found = recover_at_venue(path, lambda _: account, IDS)
        journal.record_all(found.repairs)
    return found


def fill_row(plan: TradePlan, trade_id: str, quantity: float, price: float) -> Any:
    named = {"event_id": trade_id, "market": plan.market, "order_id": plan.entry_order_id, "trade_id": trade_id}
    paid = {"quantity": quantity, "price": price, "fee": 0.006, "fee_currency": "USDT"}
    return "fills", {"ts": AT, "signal_id": plan.signal_id, "side": "buy", **named, **paid}


@pytest.mark.parametrize(
    ("state", "became", "status"),
    [
        ("order_failed", "", "rejected"),
        ("partially_failed", "", "rejected"),
        ("canceled", "", "canceled"),
        ("effective", "13", "canceled"),
        ("live", "", None),
    ],
)
def test_a_stop_of_okx_that_ended_without_a_fill_is_sent_again(
    state: str, became: str, status: str | None, tmp_path: Path
) -> None:
    """One that was triggered became an order, which the venue forgets two hours after it ended without a fill."""
    plan = trade(OKX_MARKET)
    answers = OKX | {
        "GET /api/v5/trade/orders-pending": ok(),
        "GET /api/v5/trade/orders-algo-pending": ok(),
        "GET /api/v5/trade/order": lambda asked: (
            ok(okx("10", plan.entry_order_id, "market", "buy", "100", "100", "filled", avgPx="30000.5"))
            if asked.get("clOrdId") == plan.entry_order_id
            else NOT_THERE
        ),
        "GET /api/v5/trade/order-algo": lambda asked: (
            ok(okx_algo("2000", STOP, state, became)) if asked["algoClOrdId"] == STOP else NOT_THERE
        ),
        "GET /api/v5/trade/fills-history": ok(
            okx_fill("1", "10", plan.entry_order_id, "buy", "100", "30000", "-0.006")
        ),
        "GET /api/v5/account/positions": ok(OKX_POSITION | {"pos": "100"}),
    }
    protected = replace(plan.filled(1.0, 30_000.0), stop_order_id=STOP)
    sent = [planned(plan), order_row(plan, plan.entry_order_id), fill_row(plan, "1", 1.0, 30_000.0)]
    resting = [order_row(plan, plan.entry_order_id, "filled"), planned(protected), order_row(plan, STOP)]
    found = started(answers, "okx", plan, [*sent, *resting], tmp_path)
    assert [(one.stage, one.quantity) for one in found.plans] == [("open", 1.0)]
    assert [one.quantity for one in found.holdings] == [1.0]
    said = read_session(tmp_path / JOURNAL_FILE)["orders"].filter(order_id=STOP)["status"].to_list()
    assert said[1:] == ([status] if status else [])


@pytest.mark.parametrize("later", [False, True], ids=["at once", "from the history"])
def test_an_entry_of_kraken_that_filled_so_fast_that_it_counts_as_refused_is_a_trade(
    later: bool, tmp_path: Path
) -> None:
    """The engine called it refused; the status is told for a moment, and in the history for good."""
    plan = trade(KRAKEN_MARKET)
    stated = {"type": "ORDER", "orderId": "k10", "cliOrdId": plan.entry_order_id, "symbol": "PF_XBTUSD", "side": "buy"}
    stated |= {"quantity": 1.0, "filled": 1.0, "reduceOnly": False, "timestamp": "2023-11-14T22:13:20.000Z"}
    past = {"uid": "k10", "clientId": plan.entry_order_id, "tradeable": "PF_XBTUSD", "direction": "Buy", "timestamp": T}
    past |= {"quantity": "1.0", "filled": "1.0", "limitPrice": "0", "orderType": "IoC", "reduceOnly": False}
    updated = {"OrderUpdated": {"newOrder": past, "oldOrder": past | {"filled": "0.4"}, "reason": "full_fill"}}
    answers = KRAKEN_FUTURES | {
        "GET /derivatives/api/v3/openorders": kf(openOrders=[]),
        "GET /derivatives/api/v3/orders/status": lambda asked: kf(
            orders=[{"order": stated, "status": "FULLY_EXECUTED", "updateReason": None, "error": None}]
            if not later and asked["cliOrdIds"] == plan.entry_order_id
            else []
        ),
        "GET /api/history/v2/orders": {"elements": [{"uid": "e1", "timestamp": T, "event": updated}] if later else []},
        "GET /derivatives/api/v3/fills": kf(
            fills=[
                kf_fill("f2", "k10", plan.entry_order_id, "buy", 0.6, 30001.0),
                kf_fill("f1", "k10", plan.entry_order_id, "buy", 0.4, 30000.0),
            ]
        ),
        "GET /derivatives/api/v3/openpositions": kf(
            openPositions=[{"side": "long", "symbol": "PF_XBTUSD", "price": 30000.6, "size": 1.0}]
        ),
    }
    rows = [planned(plan), *(order_row(plan, plan.entry_order_id, status) for status in ("initialized", "rejected"))]
    found = started(answers, "kraken", plan, rows, tmp_path)
    (entered,) = found.plans
    assert (entered.stage, entered.quantity, entered.entry_price) == ("open", 1.0, pytest.approx(30000.6))
    fills = read_session(tmp_path / JOURNAL_FILE)["fills"]
    assert fills["fee"].to_list() == [0.006, 0.009]
