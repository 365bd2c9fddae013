"""A history that the engine does not survive is asked for once, and its market is set apart; the others go on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.settings import FeedSettings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_live.node.bars import requests
from trading_live.node.bars.fatal_requests import ABORT_FILE, KEPT, REQUESTS_FILE, FatalRequests
from trading_live.node.bars.history import BarHistory
from trading_live.node.bars.requests import ATTEMPTS, BarRequest
from trading_live.node.history_loader import HistoryLoader
from trading_live.venues.contract import WallClock

A, B = Stream("sample:A/USDT:USDT", "15m"), Stream("sample:B/USDT:USDT", "15m")
NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

PROCESS = """
import os, sys, signal
from datetime import datetime, UTC
from pathlib import Path
from trading_assets.strategies.signals import Stream
from trading_live.node.bars.fatal_requests import FatalRequests
from trading_live.node.bars.requests import BarRequest
fatal = FatalRequests(Path(sys.argv[1]))
fatal.watch()
fatal.sent(Stream("sample:A/USDT:USDT", "15m"), BarRequest(), datetime(2025, 5, 1, tzinfo=UTC))
"""


def process(folder: Path, end: str) -> int:
    """One that asks for a history, and how it ended."""
    return subprocess.run([sys.executable, "-c", PROCESS + end, str(folder)], check=False).returncode


def test_a_process_that_was_aborted_blames_the_request_that_was_under_way_and_no_other(tmp_path: Path) -> None:
    assert process(tmp_path, "os.abort()") == -signal.SIGABRT
    assert (tmp_path / ABORT_FILE).read_text().startswith("Fatal Python error: Aborted")
    for _ in range(2):  # it is remembered by the start after the next one, too
        fatal = FatalRequests(tmp_path)
        fatal.watch()
        why = fatal.refusal(A)
        assert why is not None
        assert "history of 15m (the bars before 2025-05-01 00:00) ended the process" in why
        assert f"{tmp_path / REQUESTS_FILE} is deleted" in why
        assert fatal.refusal(B) is None
        fatal.end()
    assert FatalRequests(tmp_path, lambda: datetime.now(UTC) + KEPT).refusal(A) is None


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "fatal.end()", "fatal.answered(); os.abort()"])
def test_who_was_killed_ended_in_order_or_had_its_answer_blames_none(tmp_path: Path, end: str) -> None:
    process(tmp_path, end)
    assert FatalRequests(tmp_path).refusal(A) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"fatal": [1]}', '{"fatal": [["a", "b", "c", "d"]]}'])
def test_a_file_that_cannot_be_understood_blames_none(tmp_path: Path, content: str) -> None:
    (tmp_path / REQUESTS_FILE).write_text(content)
    fatal = FatalRequests(tmp_path)
    assert fatal.refusal(A) is None
    fatal.sent(A, BarRequest(NOON, NOON + QUARTER), None)


def test_a_folder_that_cannot_be_written_keeps_nobody_from_asking(tmp_path: Path) -> None:
    fatal = FatalRequests(tmp_path / "gone")
    fatal.watch()
    fatal.sent(A, BarRequest(), None)
    fatal.end()


class Signals:
    """What the loader needs of the signals."""

    def __init__(self) -> None:
        self.histories = {stream: BarHistory(stream, rows=50) for stream in (A, B)}
        self.refused: dict[str, str] = {}
        self.went_on: list[Stream] = []

    def refuse(self, market: str, why: str) -> None:
        self.refused[market] = why

    def go_on(self, stream: Stream) -> None:
        self.went_on.append(stream)


class Venue:
    """A loader, and what it asks and tells."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[Stream] = []
        self.told: list[tuple[str, str]] = []
        self.seconds = 0.0
        tell = lambda event, detail: self.told.append((event, detail))  # noqa: E731
        feed = FeedQuarantine(FeedSettings(), WallClock(), tell, lambda: 0.0)
        self.loader = HistoryLoader(feed, tell, FatalRequests(folder), historic=True, monotonic=lambda: self.seconds)
        self.signals = Signals()
        self.loader.serve(self.signals, lambda stream, _: self.asked.append(stream))  # type: ignore[arg-type]

    def answers(self, stream: Stream, bars: Sequence[ClosedBar]) -> None:
        self.loader.take(stream, bars)

    def stays_silent(self) -> Stream | None:
        self.seconds += requests.ANSWER_S + 1
        return self.loader.chase()


def quarters(stream: Stream, count: int) -> list[ClosedBar]:
    opens = [NOON + i * QUARTER for i in range(count)]
    return [ClosedBar(stream.market, "15m", ts, ts + QUARTER, 100.0, 101.0, 99.0, 100.0, 5.0) for ts in opens]


def test_a_market_whose_history_ended_a_process_is_not_asked_for_and_the_others_are(tmp_path: Path) -> None:
    process(tmp_path, "os.abort()")
    venue = Venue(tmp_path)
    venue.loader.warm_up([A, B])
    venue.answers(B, quarters(B, 50))
    assert set(venue.asked) == {B}
    assert list(venue.signals.refused) == [A.market]
    assert venue.signals.went_on == [B]
    assert not venue.loader
    assert [event for event, _ in venue.told] == ["history refused"]


def test_a_history_that_does_not_come_costs_its_market_where_another_came(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.loader.warm_up([B, A])
    venue.answers(B, quarters(B, 50))
    assert [venue.stays_silent() for _ in range(ATTEMPTS)] == [None] * ATTEMPTS
    assert venue.signals.refused == {A.market: "the venue does not send a history of 15m that can be read"}
    assert not venue.loader


def test_where_no_history_comes_the_venue_is_not_there(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.loader.warm_up([A])
    assert [venue.stays_silent() for _ in range(ATTEMPTS)] == [None] * (ATTEMPTS - 1) + [A]
    assert venue.signals.refused == {}


def test_bars_twice_and_in_no_order_are_one_history(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.loader.warm_up([A])
    bars = quarters(A, 50)
    venue.answers(A, [*reversed(bars), *bars[10:20]])
    held = venue.signals.histories[A].frame
    assert held["ts"].to_list() == [bar.ts for bar in bars]


def test_an_impossible_bar_of_a_history_is_named_and_not_learned_from(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.loader.warm_up([A])
    bars = quarters(A, 50)
    bars[7] = ClosedBar(A.market, "15m", bars[7].ts, bars[7].known_at, 100.0, 101.0, 0.0, 100.0, 5.0)
    venue.answers(A, [*bars, bars[7]])
    assert venue.signals.histories[A].frame["ts"].to_list() == [bar.ts for bar in bars if bar.low > 0]
    (told,) = venue.told
    assert told == ("history refused", f"{A.market}: 1 bars; 2025-05-01 13:45: its low is 0")


def test_the_file_of_requests_is_gone_when_all_is_answered(tmp_path: Path) -> None:
    assert process(tmp_path, "fatal.end()") == 0
    assert list(tmp_path.iterdir()) == []
