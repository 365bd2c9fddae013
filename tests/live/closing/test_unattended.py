"""On a market that the engine does not know, the account ends what no stop protects, and what is over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.live.conftest import MARKET, START
from tests.live.rehearsed import IDS, STILL, Desk, desk, opened
from trading_assets.journal import read_state
from trading_assets.strategies.instruments import raw_symbol
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.closing.unattended import Unattended, unattended
from trading_live.reconciliation.asking import ask, journalled_fills
from trading_live.reconciliation.views import EngineSays, JournalSays
from trading_live.replay.orders.exchange.filters import SymbolStatus

LATER = START + timedelta(hours=7)


def found(one: Desk, plan: TradePlan, *, now: object = START, apart: Collection[str] = (MARKET,)) -> list[Unattended]:
    says = JournalSays.of(read_state(one.path), journalled_fills(one.path))
    venue = ask(one.account, says, {MARKET: plan}, [MARKET], ours=IDS.is_ours)
    engine = EngineSays({}, {}, {MARKET: plan}, frozenset(apart))
    return unattended(says, engine, venue, now, markets=[MARKET], ours=IDS.is_ours)  # type: ignore[arg-type]


def turn_to(one: Desk, status: SymbolStatus) -> None:
    filters = one.server.account.exchange.filters
    filters[raw_symbol(MARKET)] = replace(filters[raw_symbol(MARKET)], status=status)


def test_a_trade_whose_stop_rests_goes_on_until_it_is_over(tmp_path: Path) -> None:
    with desk(tmp_path, STILL) as one:
        plan = opened(one)
        turn_to(one, "SETTLING")
        assert found(one, plan) == []
        assert [one.reason for one in found(one, plan, now=LATER)] == ["time"]
        killed = replace(plan, stage="exiting", exit_reason="kill")
        assert [one.reason for one in found(one, killed)] == ["kill"]
        assert found(one, killed, apart=()) == [], "the engine knows the market"


def test_what_no_stop_protects_is_closed_and_nothing_of_its_trade_rests(tmp_path: Path) -> None:
    with desk(tmp_path, STILL) as one:
        plan = opened(one)
        one.account.cancel(MARKET, plan.stop_order_id)
        turn_to(one, "SETTLING")
        (ended,) = found(one, plan)
        assert (ended.held, ended.reason) == (10.0, "unprotected")
        told = str(ended.end(one.account, IDS.is_ours))
        assert "+10 is held, and no stop of its size rests; closed and canceled through the account" in told
        assert one.account.positions() == []
        assert one.account.open_orders([MARKET]) == []


def test_orders_that_a_trade_has_left_are_canceled(tmp_path: Path) -> None:
    with desk(tmp_path, STILL) as one:
        plan = opened(one)
        one.account.close(MARKET, 10.0)
        assert plan.stop_order_id in [order.client_id for order in one.account.open_orders([MARKET])]
        (ended,) = found(one, plan)
        assert (ended.held, ended.reason) == (0.0, "")
        ended.end(one.account, IDS.is_ours)
        assert one.account.open_orders([MARKET]) == []
        assert found(one, plan) == []


def test_where_the_venue_refuses_that_is_told_and_tried_again(tmp_path: Path) -> None:
    with desk(tmp_path, STILL) as one:
        plan = opened(one)
        one.account.cancel(MARKET, plan.stop_order_id)
        turn_to(one, "CLOSE")
        (ended,) = found(one, plan)
        assert "the venue refuses" in ended.end(one.account, IDS.is_ours).detail
        assert [position.quantity for position in one.account.positions()] == [pytest.approx(10.0)]
        turn_to(one, "TRADING")
        (again,) = found(one, plan)
        assert "refuses" not in again.end(one.account, IDS.is_ours).detail
        assert one.account.positions() == []
