"""`trading status --check`: what somebody has to look at, in words and as an exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.live.node.test_parts import beat
from tests.live.node.test_without_a_model import leave_open
from trading_assets.journal import JOURNAL_FILE, Journal
from trading_assets.registry.deployment import MANIFEST
from trading_assets.settings import NodeSettings, Settings
from trading_live.operations import kill_switch
from trading_live.operations.health import check_node, disk_problems, feed_problems
from trading_live.operations.heartbeat import NodeLock
from trading_live.operations.status import look, read_status

NOW = datetime(2025, 5, 1, 12, tzinfo=UTC)
MARKET = "sample:SYNA/USDT:USDT"
STOP = {"market": MARKET, "order_id": "x", "signal_id": "s", "purpose": "stop_loss", "side": "sell"}
STOP |= {"order_type": "stop_market", "quantity": 10.0}
MODEL = {"model": "syna", "version": 1, "bundle_hash": "0" * 64, "markets": (MARKET,)}


@contextmanager
def node(settings: Settings, **says: object) -> Iterator[None]:
    presence = NodeLock(settings.live_dir)
    presence.acquire()
    presence.beat(beat(pid=os.getpid(), models=(MODEL,), started_at=datetime.now(UTC), **says))
    yield
    presence.release()


def found(settings: Settings) -> list[str]:
    return [str(one) for one in check_node(settings)[1]]


def test_a_node_that_does_what_it_should_is_well(settings: Settings) -> None:
    with node(settings):
        doing, problems = check_node(settings)
    assert problems == []
    assert doing == f"trading, process {os.getpid()}, syna v1, 0 open positions"


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"beat_at": datetime.now(UTC) - timedelta(minutes=1)}, "dead: the node holds its folder and gave no sign"),
        ({"halted": "on_bar failed"}, "halted: on_bar failed"),
        ({"refused": {"syna": "syna v1: SHA-256 differs"}}, "refused: syna v1: SHA-256 differs"),
        ({"refused": {MARKET: "tick size 0.1 -> 0.01"}}, f"refused: {MARKET}: tick size 0.1 -> 0.01"),
        ({"state": "silent"}, "stale: no market sends bars"),
        ({"beat_at": datetime.now(UTC) + timedelta(days=2)}, "clock: the heartbeat is of "),
        (
            {"untrusted": {MARKET: "it ends 9 s in the future: either the bar or this machine's clock is wrong"}},
            f"clock: {MARKET}: it ends 9 s in the future",
        ),
        (
            {"untrusted": {MARKET: "implausible 1m bar of 2025-05-01 11:42: its low is 0"}},
            f"quarantined: {MARKET}: implausible 1m bar of 2025-05-01 11:42: its low is 0",
        ),
        (
            {"untrusted": {MARKET: "silent: no 1m bar since 2025-05-01 11:42:00"}},
            f"stale: {MARKET}: silent: no 1m bar since 2025-05-01 11:42:00",
        ),
        (
            {"state": "silent", "untrusted": {MARKET: "silent: no 1m bar since 2025-05-01 11:42:00"}},
            "stale: no market sends bars",
        ),
    ],
)
def test_what_the_node_says_of_itself_is_a_problem(settings: Settings, says: dict[str, object], expected: str) -> None:
    with node(settings, **says):
        (problem,) = found(settings)
    assert problem.startswith(expected)


def test_no_node_a_kill_and_a_damaged_manifest_are_named_at_once(settings: Settings) -> None:
    assert found(settings) == ["dead: no node runs"]
    kill_switch.engage(settings.live_dir, "too hot")
    (settings.live_dir / MANIFEST).write_text("{")
    dead, killed, refused = found(settings)
    assert (dead, killed) == ("dead: no node runs", "killed: the kill switch is on: too hot")
    assert refused.startswith("refused: ")
    assert "not a deployment manifest" in refused


def test_a_position_is_unprotected_without_a_node_and_without_its_stop(settings: Settings) -> None:
    leave_open(settings, price=100.0, minutes=60)
    assert found(settings)[-1] == f"unprotected: {MARKET}: 10 held and no node runs: no stop rests"
    with node(settings):
        assert found(settings) == [f"unprotected: {MARKET}: 10 held and its stop at 80 does not rest"]
        stop = {**STOP, "ts": datetime.now(UTC)}
        with closing(Journal(settings.live_dir / JOURNAL_FILE, "paper-replay")) as journal:
            journal.record("orders", stop | {"status": "initialized"})
            assert found(settings) == [f"unprotected: {MARKET}: 10 held and its stop at 80 does not rest"]
            journal.record("orders", stop | {"status": "accepted"})
        assert found(settings) == []


def test_a_venue_keeps_a_stop_while_no_node_runs(settings: Settings) -> None:
    leave_open(settings, price=100.0, minutes=60)
    stop = {**STOP, "ts": datetime.now(UTC)}
    start = {"ts": datetime.now(UTC), "event": "started", "detail": "binance testnet, live main"}
    with closing(Journal(settings.live_dir / JOURNAL_FILE, "live-testnet")) as journal:
        journal.record("node", start)
        assert found(settings)[-1] == f"unprotected: {MARKET}: 10 held and its stop at 80 does not rest"
        for status in ("initialized", "accepted"):
            journal.record("orders", stop | {"status": status})
    assert found(settings) == ["dead: no node runs"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stage": "entering"}, "10 held, its entry is not complete and no stop rests"),
        (
            {"stage": "exiting", "exit_reason": "kill", "exit_order_id": ""},
            "10 held, to be closed (kill), and no exit order is on its way",
        ),
    ],
)
def test_a_position_is_unprotected_on_its_way_in_and_where_its_exit_came_to_nothing(
    settings: Settings, changes: dict[str, Any], expected: str
) -> None:
    plan = replace(leave_open(settings, price=100.0, minutes=60), **changes)
    row = {"ts": datetime.now(UTC), "market": MARKET, "signal_id": "s", "plan": plan.to_json()}
    exit_order = {"market": MARKET, "order_id": "y", "signal_id": "s", "purpose": "exit", "side": "sell"}
    exit_order |= {"ts": datetime.now(UTC), "order_type": "market", "quantity": 10.0, "status": "initialized"}
    with node(settings), closing(Journal(settings.live_dir / JOURNAL_FILE, "paper-replay")) as journal:
        journal.record("plans", row)
        assert found(settings) == [f"unprotected: {MARKET}: {expected}"]
        exiting = replace(plan, stage="exiting", exit_order_id="y")
        journal.record_all([("plans", row | {"plan": exiting.to_json()}), ("orders", exit_order)])
        assert found(settings) == []


def test_a_journal_that_was_lost_with_something_open_is_told_by_check_status_and_kill(settings: Settings) -> None:
    with node(settings, open_markets=(MARKET,)):
        pass
    lost = f"the journal of n is missing, and it held trades open in {MARKET}"
    assert lost in found(settings)[0]
    assert lost in read_status(settings).journal_error
    assert lost in look(settings.live_dir).problem


def test_a_node_that_loads_its_models_is_not_dead_yet(settings: Settings) -> None:
    silent = {"beat_at": datetime.now(UTC) - timedelta(seconds=30)}
    with node(settings, state="starting", **silent):
        assert found(settings) == []
    with node(settings, state="trading", **silent):
        (problem,) = found(settings)
    assert problem.startswith("dead: the node holds its folder and gave no sign of life for ")


def test_bars_of_a_venue_are_overdue_and_those_of_a_replay_are_not() -> None:
    bars = {"last_bars": {MARKET: NOW - timedelta(minutes=18)}, "next_bars": {MARKET: NOW - timedelta(minutes=3)}}
    late = {**bars, "models": (MODEL,), "beat_at": NOW}
    (problem,) = feed_problems(beat(environment="live", **late), NodeSettings(), NOW)
    assert str(problem) == f"stale: {MARKET}: the newest bar ended at 2025-05-01 11:42 UTC"
    assert not list(feed_problems(beat(environment="replay", **late), NodeSettings(), NOW))
    soon = late | {"beat_at": NOW - timedelta(minutes=1)}
    assert not list(feed_problems(beat(environment="live", **soon), NodeSettings(), NOW - timedelta(minutes=1)))


def test_a_full_disk_is_named_with_its_limit(settings: Settings) -> None:
    (problem,) = disk_problems(settings.live_dir, 1e12)
    assert problem.kind == "disk"
    assert "limit 1,000,000,000,000 MB" in problem.text
    assert not list(disk_problems(settings.live_dir, 1e-6))
