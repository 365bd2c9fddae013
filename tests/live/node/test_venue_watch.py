"""What the node asks its venue beside the engine: the clock, and the dead man's switch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from trading_live.node.shutdown import Shutdown
from trading_live.node.supervisor import Hooks, Supervisor
from trading_live.node.venue_watch import VenueWatch
from trading_live.venues.account import VenueError

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


class Venue:
    """An account that answers with a clock so far from ours, or not at all."""

    place = "test venue"

    def __init__(self, *, ahead_s: float = 0.0, has_switch: bool = True) -> None:
        self.ahead_s, self.has_switch, self.answers = ahead_s, has_switch, True
        self.asked: list[float | None] = []
        self.lost = False

    def clock(self) -> datetime:
        if not self.answers:
            raise VenueError("no answer", where=self.place, answered=False)
        return NOW + timedelta(seconds=self.ahead_s)

    def cancel_after(self, seconds: float | None, markets: Any = ()) -> bool:
        if not self.answers:
            raise VenueError("no answer", where=self.place, answered=False)
        self.asked.append(seconds)
        if self.lost:
            raise VenueError("no answer", where=self.place, answered=False)
        return self.has_switch


class Watched:
    def __init__(self, venue: Venue, *, after: float | None = None) -> None:
        self.seconds = 0.0
        self.watch = VenueWatch(
            venue,  # type: ignore[arg-type]
            ["binance:BTC/USDT:USDT"],
            cancel_after_s=after,
            monotonic=lambda: self.seconds,
            now=lambda: NOW,
        )


@pytest.mark.parametrize("ahead", [-3.0, 3.0])
def test_the_skew_is_measured_either_way_and_failures_are_counted(ahead: float) -> None:
    venue = Venue(ahead_s=ahead)
    one = Watched(venue)
    assert one.watch.skew_s is None
    one.watch.once()
    assert one.watch.skew_s == 3.0
    venue.answers = False
    one.watch.once()
    one.watch.once()
    assert (one.watch.failures, one.watch.skew_s) == (2, 3.0)


def test_without_the_setting_nothing_is_armed() -> None:
    venue = Venue()
    one = Watched(venue)
    one.watch.once()
    one.watch.close()
    assert venue.asked == []


def test_the_switch_is_armed_again_and_again_while_the_engine_lives_and_taken_back_at_the_end() -> None:
    venue = Venue()
    one = Watched(venue, after=30.0)
    one.watch.once()
    assert venue.asked == [], "an engine that still connects rests its stops at the venue"
    one.watch.alive()
    one.watch.once()
    one.seconds = 4.0
    one.watch.once()
    one.seconds = 20.0
    one.watch.once()
    assert venue.asked == [30.0, 30.0], "an engine that has not been heard of for 20 s is dead"
    one.watch.alive()
    one.watch.once()
    assert venue.asked == [30.0, 30.0, 30.0]
    one.watch.close()
    assert venue.asked[-1] is None
    assert len(one.watch.said) == 1, "told once"


def test_a_switch_that_cannot_be_taken_back_is_told() -> None:
    venue = Venue()
    one = Watched(venue, after=30.0)
    one.watch.alive()
    one.watch.once()
    venue.answers = False
    one.watch.close()
    assert "does not take the switch back" in one.watch.said[-1]


def test_a_switch_of_which_no_answer_came_is_taken_back_too() -> None:
    venue = Venue()
    one = Watched(venue, after=30.0)
    one.watch.alive()
    one.watch.once()
    asked = list(venue.asked)
    other = Watched(venue, after=30.0)
    other.watch.alive()
    venue.lost = True
    other.watch.once()
    venue.lost = False
    other.watch.close()
    assert venue.asked == [*asked, 30.0, None]


def test_a_venue_without_such_a_switch_is_told_once() -> None:
    one = Watched(Venue(has_switch=False), after=30.0)
    one.watch.alive()
    one.watch.once()
    one.watch.once()
    (told,) = one.watch.said
    assert told.startswith("test venue has no such switch")


def test_its_thread_ends_when_it_is_closed() -> None:
    venue = Venue()
    one = Watched(venue, after=30.0)
    one.watch.alive()
    one.watch.start()
    one.watch.close()
    assert not one.watch._thread.is_alive()
    assert venue.asked == [30.0, None]


def test_the_switch_is_armed_while_a_node_closes_what_does_not_close(tmp_path: Path) -> None:
    """It would cancel the stops of what is still open, which rest until their positions are gone."""
    venue = Venue()
    one = Watched(venue, after=30.0)
    strategy = SimpleNamespace(flatten=lambda _: None, is_flat=lambda: False, open_trades={"A": None})
    shutdown = Shutdown(tmp_path, strategy, lambda *_: None, close_only=True)  # type: ignore[arg-type]
    nothing = MagicMock()
    hooks = Hooks(nothing, nothing, nothing, one.watch.alive, nothing, nothing)
    parts: list[Any] = [{}, strategy, *[MagicMock(histories={})] * 5, shutdown, hooks, nothing]
    node = Supervisor(*parts, poll=timedelta(seconds=1), max_step_pct=1.0, reloads=False)
    shutdown.begin("close_only", "", lambda: None)
    for _ in range(10):
        one.seconds += 1.0
        node._look(None)
        node._beat(None)
    assert shutdown.begun
    one.watch.once()
    assert venue.asked == [30.0]
    one.watch.close()
    assert venue.asked == [30.0, None], "taken back as the node ends"
