"""The protections as a node holds them, without an engine: requests, facts, a disk without room, a new process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trading_assets.core.errors import NodeError
from trading_assets.divergence.days import shortfall
from trading_assets.journal import JOURNAL_FILE, BufferedJournal, Journal, session_events
from trading_assets.registry.facts import tell_fact
from trading_assets.settings import FeedSettings, Settings, load_settings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.protections import NODE, Scope, State, market_scope, model_scope
from trading_live.node.protections import NodeProtections
from trading_live.operations import pauses
from trading_live.venues.contract import WallClock

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
A = "sample:AAA/USDT:USDT"


class Node:
    """A node's parts around its protections; ``seconds`` is its monotonic clock."""

    def __init__(self, settings: Settings) -> None:
        self.journal = BufferedJournal(Journal(settings.live_dir / JOURNAL_FILE, "node"), clock=lambda: self.seconds)
        self.told: list[tuple[str, str]] = []
        self.seconds = 0.0
        self.feed = FeedQuarantine(FeedSettings(), WallClock(), lambda *_: None, lambda: self.seconds)
        self.protections = NodeProtections(
            settings,
            self.journal,
            lambda event, detail: self.told.append((event, detail)),
            self.feed,
            market_time=NOW,
            historic=True,
            monotonic=lambda: self.seconds,
        )

    def look(self, after_s: float = 1.0) -> None:
        self.seconds += after_s
        self.protections.look()

    def state(self, **of: str) -> State:
        return self.protections.protections.verdict(**of).state


def ask(settings: Settings, verb: Any, scope: Scope, **how: Any) -> str:
    return pauses.ask(settings.live_dir, pauses.now_at(verb, scope, **how))


def rows(settings: Settings) -> list[Mapping[str, Any]]:
    return [row for _, row in session_events(settings.live_dir / JOURNAL_FILE, ("risk_states",))]


def test_a_request_is_taken_at_the_next_look_and_its_file_goes_once_the_journal_has_it(live_settings: Settings) -> None:
    node = Node(live_settings)
    name = ask(live_settings, "pause", market_scope(A), flatten=True, for_s=60.0, reason="news")
    node.look(0.02)
    assert node.state(market=A) is State.HALTED
    assert not pauses.is_waiting(live_settings.live_dir, name)
    paused = [row for row in rows(live_settings) if row["cause"] == "paused"]
    assert [(row["state"], row["request"], row["held_until"]) for row in paused] == [
        ("halted", name, NOW + timedelta(seconds=60))
    ]
    assert ("pause", f"market {A}: news") in node.told
    assert any(event == "protection halted" for event, _ in node.told)
    ask(live_settings, "resume", market_scope(A))
    node.look(0.02)
    assert node.state(market=A) is State.RUNNING


def test_a_new_process_goes_on_as_the_one_before_and_takes_what_came_meanwhile(live_settings: Settings) -> None:
    first = Node(live_settings)
    ask(live_settings, "pause", NODE)
    first.look()
    first.journal.close()
    ask(live_settings, "pause", model_scope("trend"), flatten=True)
    second = Node(live_settings)
    assert second.state() is State.REDUCING
    assert second.state(model="trend") is State.HALTED, "before it does anything else"
    ask(live_settings, "resume", NODE)
    second.look()
    assert (second.state(), second.state(model="trend")) == (State.RUNNING, State.HALTED)


def test_a_request_of_a_process_that_died_between_journal_and_file_is_done_once(live_settings: Settings) -> None:
    first = Node(live_settings)
    name = ask(live_settings, "pause", NODE)
    file = live_settings.live_dir / pauses.FOLDER / f"{name}.json"
    content = file.read_bytes()
    first.look()
    first.journal.close()
    file.write_bytes(content)
    second = Node(live_settings)
    assert second.state() is State.REDUCING
    assert not file.exists()
    assert len([row for row in rows(live_settings) if row["cause"] == "paused"]) == 1


def test_without_room_for_the_journal_a_pause_holds_and_its_file_stays(
    live_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(live_settings)
    written: list[Sequence[Any]] = []

    def full(*_: Any) -> list[int]:
        raise NodeError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(node.journal._journal, "write", full)
        name = ask(live_settings, "pause", NODE)
        node.look()
        node.look()
        assert node.state() is State.REDUCING
        assert pauses.is_waiting(live_settings.live_dir, name), "a process that dies now leaves it to the next one"
    node.look(2.0)
    node.look(2.0)
    assert not pauses.is_waiting(live_settings.live_dir, name)
    assert len([row for row in rows(live_settings) if row["cause"] == "paused"]) == 1
    assert [event for event, _ in node.told].count("pause") == 1
    assert written == []


def test_facts_of_others_hold_while_they_stand(live_settings: Settings) -> None:
    node = Node(live_settings)
    folder = live_settings.live_dir
    tell_fact(folder, "coverage_gap_pct", ("model", "trend"), 12.0)
    tell_fact(folder, "coverage_gap_pct", ("model", "other"), 3.0)
    tell_fact(folder, "spread_bps", ("market", A), 80.0)
    (folder / "facts" / "broken.json").write_text("{")
    node.look()
    assert node.state(model="trend") is State.REDUCING
    assert node.state(model="other") is State.RUNNING
    assert node.state(market=A) is State.REDUCING
    tell_fact(folder, "coverage_gap_pct", ("model", "trend"), None)
    node.look()
    assert node.state(model="trend") is State.REDUCING, "what is not measured any more is not over"


@pytest.fixture
def of_divergence(live_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that allow ten basis points a trade below the backtest."""
    monkeypatch.setenv("TRADING_TRADING__PROTECTIONS__DIVERGENCE_BPS", "10")
    return load_settings()


def tell_day(settings: Settings, day: datetime, gap_bps: float) -> None:
    """Tell the node of the newest day, as what compares live trades with their backtest does."""
    days = pl.DataFrame({"ts": [day], "gap_bps": [gap_bps], "trades": [4]})
    tell_fact(settings.live_dir, "divergence_bps", ("node", ""), shortfall(days))


def test_a_day_below_its_backtest_holds_the_node_until_a_person_lets_it_go_on(of_divergence: Settings) -> None:
    settings, day = of_divergence, timedelta(days=1)
    node = Node(settings)
    tell_day(settings, NOW - day, 30.0)
    node.look()
    assert node.state() is State.RUNNING, "better than its backtest"
    tell_day(settings, NOW, -12.0)
    node.look()
    assert node.state() is State.REDUCING
    (row,) = (row for row in rows(settings) if row["cause"] == "divergence_bps")
    assert (row["scope_kind"], row["state"], row["value"], row["limit_value"]) == ("node", "reducing", 12.0, 10.0)
    assert (row["held_until"], row["reset_by"]) == (None, "person")
    (told,) = (detail for event, detail in node.told if event == "protection reducing")
    assert told == "node reducing: divergence_bps 12 reached the limit 10; `trading resume` ends it"
    tell_day(settings, NOW + day, 0.0)
    node.protections._market_time = NOW + 3 * day
    node.look()
    assert node.state() is State.REDUCING, "no better day and no clock ends it"
    node.journal.close()
    again = Node(settings)
    again.look()
    assert again.state() is State.REDUCING
    ask(settings, "resume", NODE)
    again.look()
    assert again.state() is State.RUNNING
    assert [row["state"] for row in rows(settings) if row["cause"] == "divergence_bps"] == ["reducing", "running"]


def test_a_day_that_a_person_has_accepted_holds_no_more_and_a_worse_one_does(of_divergence: Settings) -> None:
    settings, day = of_divergence, timedelta(days=1)
    node = Node(settings)
    tell_day(settings, NOW - day, -12.0)
    node.look()
    tell_day(settings, NOW, -15.0)
    node.look()
    ask(settings, "resume", NODE)
    for _ in range(2):
        node.look()
        assert node.state() is State.RUNNING, "what stands is what was accepted"
    node.journal.close()
    again = Node(settings)
    again.look()
    assert again.state() is State.RUNNING
    tell_day(settings, NOW + day, -16.0)
    again.look()
    assert again.state() is State.REDUCING
    again.journal.close()
    ask(settings, "resume", NODE)
    third = Node(settings)
    third.look()
    assert third.state() is State.RUNNING, "asked for while no node ran"


def test_what_the_node_measures_of_markets_holds_as_long_as_it_is_known(live_settings: Settings) -> None:
    node = Node(live_settings)
    spread: list[float | None] = [49.0]
    node.protections._measures = lambda: [("spread_bps", A, spread[0]), ("funding_bps", A, 400.0)]
    node.look()
    assert node.state(market=A) is State.RUNNING, "and no limit of funding is set"
    spread[0] = 51.0
    node.look()
    assert node.state(market=A) is State.REDUCING
    spread[0] = None
    node.look()
    assert node.state(market=A) is State.REDUCING, "what is not measured any more is not over"


def test_a_silent_market_is_held_and_goes_on_with_its_first_bar(live_settings: Settings) -> None:
    node = Node(live_settings)
    node.feed.expect(A, ["1m"])
    node.look()
    assert node.state(market=A) is State.RUNNING
    one = node.feed._markets[A]
    one.ends["1m"] -= timedelta(minutes=10)
    node.seconds += 10.0
    node.feed.watch()
    node.look()
    assert node.state(market=A) is State.REDUCING
    one.silent.clear()
    node.look()
    assert node.state(market=A) is State.RUNNING


def test_latency_is_not_measured_by_the_clock_of_a_replay(live_settings: Settings) -> None:
    assert "venue_latency_s" not in Node(live_settings).protections.protections._triggers


def test_nothing_is_read_but_once_a_second_while_nobody_asks(
    live_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(live_settings)
    node.look()
    looks: list[datetime] = []
    monkeypatch.setattr(node.protections.protections, "look", lambda now: looks.append(now) or False)
    for _ in range(200):
        node.look(0.02)
    assert 3 <= len(looks) <= 5
