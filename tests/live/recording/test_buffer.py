"""What the recorder notices between two writes: holes in the numbers, breaks, books that are no books."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.errors import NodeError
from trading_assets.recordings import Spool, pending, read_segment
from trading_assets.settings import RecordSettings
from trading_live.capture.buffer import LAST_FILE, RecordingBuffer
from trading_live.capture.listener import base_units
from trading_live.capture.sequence_gaps import SequenceGaps
from trading_live.recording.recorder import Recorder, RecordHooks

MARKET = "binance:BTC/USDT:USDT"
SECOND = 1_000_000


@given(st.permutations(range(12)), st.sets(st.integers(1, 10)), st.lists(st.integers(0, 11), max_size=4))
def test_missing_numbers_are_those_that_never_came_in_whatever_order(
    order: list[int], lost: set[int], repeated: list[int]
) -> None:
    numbers = SequenceGaps(newest=-1)
    arrived = [number for number in order if number not in lost]
    for number in [*arrived, *(number for number in repeated if number not in lost)]:
        numbers.see(number, number, received_us=0, reason="skipped")
    missing = {number for hole in numbers.ripe(1) for number in range(hole.first, hole.last + 1)}
    assert missing == {number for number in lost if number < max(arrived)}
    assert not numbers.holes


def test_a_hole_waits_for_late_trades_before_it_is_told() -> None:
    numbers = SequenceGaps(newest=1, newest_us=10)
    numbers.see(4, 40, received_us=100, reason="reconnect")
    assert not numbers.ripe(100)
    numbers.see(2, 20, received_us=101, reason="skipped")
    (hole,) = numbers.ripe(101)
    assert (hole.first, hole.last, hole.since_us, hole.until_us, hole.reason) == (3, 3, 20, 40, "reconnect")


def trade(buffer: RecordingBuffer, number: int, trade_id: str | None = None) -> None:
    at = number * SECOND
    buffer.trade(MARKET, trade_id or str(number), 100.0, 1.0, "buy", ts_us=at, received_us=at + 1)


def snapshot(buffer: RecordingBuffer, number: int, *, bid: float = 99.0) -> bool:
    at = number * SECOND
    return buffer.book(MARKET, [(bid, 1.0)], [(100.0, 2.0)], sequence=number, ts_us=at, received_us=at + 1)


def gaps(buffer: RecordingBuffer) -> list[tuple[str, str, int | None]]:
    frame = buffer.take(None)["recording_gaps"]
    return list(frame.select("stream", "reason", "missing").iter_rows())


def test_numbered_trades_lack_exactly_what_is_missing_after_a_break(tmp_path: Path) -> None:
    buffer = RecordingBuffer([MARKET], tmp_path, numbered=True)
    for number in (1, 2):
        trade(buffer, number)
    buffer.broken()
    trade(buffer, 3)
    assert gaps(buffer) == []
    buffer.broken()
    trade(buffer, 9)
    assert gaps(buffer) == [("trades", "reconnect", 5)]


def test_books_and_trades_without_numbers_may_lack_anything_after_a_break(tmp_path: Path) -> None:
    buffer = RecordingBuffer([MARKET], tmp_path, numbered=False)
    trade(buffer, 1, "a1")
    snapshot(buffer, 1)
    buffer.broken()
    trade(buffer, 5, "b7")
    snapshot(buffer, 6)
    assert gaps(buffer) == [("trades", "reconnect", None), ("books", "reconnect", None)]


def test_the_next_recorder_knows_what_it_missed(tmp_path: Path) -> None:
    first = RecordingBuffer([MARKET], tmp_path, numbered=True)
    trade(first, 7)
    snapshot(first, 7)
    first.remember()
    second = RecordingBuffer([MARKET], tmp_path, numbered=True)
    trade(second, 10)
    snapshot(second, 10)
    assert gaps(second) == [("books", "restart", None), ("trades", "restart", 2)]


def test_a_torn_note_of_the_last_recorder_is_no_note(tmp_path: Path) -> None:
    (tmp_path / LAST_FILE).write_text('{"binance:BTC')
    buffer = RecordingBuffer([MARKET], tmp_path, numbered=True)
    trade(buffer, 10)
    assert gaps(buffer) == []


def test_a_book_is_taken_down_when_it_changed_and_when_it_is_one(tmp_path: Path) -> None:
    buffer = RecordingBuffer([MARKET], tmp_path, numbered=True)
    assert [snapshot(buffer, 1), snapshot(buffer, 1), snapshot(buffer, 2, bid=100.0)] == [True, False, True]
    frame = buffer.take(None)["book_snapshots"]
    assert frame["sequence"].to_list() == [1]
    assert buffer.crossed == 1


def test_contracts_are_counted_in_base_units_without_dust() -> None:
    assert [base_units(size, Decimal("0.1")) for size in (3.0, 7.0, 0.3)] == [0.3, 0.7, 0.03]


def test_what_a_disk_refused_is_written_before_what_came_later(tmp_path: Path) -> None:
    class Refusing(Spool):
        def write(self, frames: Mapping[str, pl.DataFrame]) -> int:
            if not left:
                return super().write(frames)
            raise NodeError(left.pop(), where="disk")

    left = ["full"]
    spool, buffer = Refusing(tmp_path / "spool", segment_s=0), RecordingBuffer([MARKET], tmp_path, numbered=True)
    recorder = Recorder(
        {}, spool, buffer, RecordSettings(), RecordHooks(), historic=False, levels=20, seconds=None, stop=lambda: None
    )
    trade(buffer, 1)
    recorder.flush()
    assert "full" in str(recorder.failure)
    trade(buffer, 2)
    recorder.flush(last=True)
    spool.close()
    found = [read_segment(path).frames["public_trades"] for path in pending(tmp_path)]
    assert pl.concat(found)["trade_id"].to_list() == ["1", "2"]
