"""Books and trades of a bar, whenever its rows come: what a decision reads is what the tables will say it knew."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from trading_assets.core.candles import EPOCH
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.stored_series import SUMMARIES, read_companions
from trading_assets.recordings import Spool, load_recordings, recorded_rows
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BOOK_SNAPSHOTS, PUBLIC_TRADES
from trading_live.capture.buffer import RecordingBuffer
from trading_live.capture.spool_writer import SpoolWriter
from trading_live.node.auxiliary.recorded import TABLE_OF, RecordedSeries

MARKET = "binance:BTC/USDT:USDT"
START = datetime(2025, 5, 20, 8, tzinfo=UTC)
START_US = (START - EPOCH) // timedelta(microseconds=1)
MINUTE_US = 60_000_000
READ = {"1m": 3, "5m": 2}


def heard(buffer: RecordingBuffer, number: int, at_us: int) -> None:
    """A trade or a book, received at a time; no two are alike."""
    if number % 2:
        side = "buy" if number % 3 else "sell"
        buffer.trade(MARKET, str(number), 100.0, 1.0 + number % 7, side, ts_us=at_us - 5, received_us=at_us)
    else:
        bids, asks = [(100.0 - number % 5, 1.0 + number % 3)], [(101.0 + number % 4, 2.0)]
        buffer.book(MARKET, bids, asks, sequence=number, ts_us=at_us - 5, received_us=at_us)


@given(
    gaps_us=st.lists(st.integers(1, 40_000_000), min_size=1, max_size=60),
    behind_us=st.integers(0, 3_000_000),
    loaded_after=st.integers(0, 30),
)
def test_every_bar_reads_what_is_stored_as_known_when_it_closed(
    gaps_us: list[int], behind_us: int, loaded_after: int
) -> None:
    """This machine's clock may be behind: then a bar comes before its time is over, and what follows is of the next."""
    with tempfile.TemporaryDirectory() as folder:
        buffer = RecordingBuffer([MARKET], Path(folder), numbered=False)
    held = {name: RecordedSeries(name, READ) for name in TABLE_OF}
    stored: dict[str, list[pl.DataFrame]] = {name: [] for name in TABLE_OF}
    said: list[tuple[str, str, datetime, pl.DataFrame]] = []
    now_us, closed = START_US, START_US

    def take() -> None:
        frames = buffer.take(None)
        for name, series in held.items():
            rows = frames[TABLE_OF[name].name]
            stored[name].append(rows)
            series.add(rows)

    for number, gap in enumerate(gaps_us):
        now_us += gap
        while closed + MINUTE_US <= now_us + behind_us:  # the venue's bar comes by the venue's clock
            closed += MINUTE_US
            buffer.seal(MARKET, closed)
            take()
            at = EPOCH + timedelta(microseconds=closed)
            said += [
                (name, timeframe, at, series.rows(timeframe, at))
                for name, series in held.items()
                for timeframe in READ
                if series.loaded and (at - START) % Timeframe.parse(timeframe).length == timedelta(0)
            ]
        heard(buffer, number, now_us)
        if number == loaded_after:
            for name, series in held.items():
                series.load(pl.DataFrame(schema=TABLE_OF[name].columns))
    take()
    assert_as_stored(said, stored)


def assert_as_stored(
    said: list[tuple[str, str, datetime, pl.DataFrame]], stored: Mapping[str, list[pl.DataFrame]]
) -> None:
    for name, timeframe, at, rows in said:
        one = Timeframe.parse(timeframe)
        table = SUMMARIES[TABLE_OF[name].name](pl.concat(stored[name]), one).filter(pl.col("known_at") <= at)
        newest = table.filter(pl.col("known_at") > at - READ[timeframe] * one.length)
        assert_frame_equal(rows.tail(newest.height), newest, check_exact=True)


def rows_of(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: frames[table.name] for name, table in TABLE_OF.items()}


def test_a_node_that_starts_in_a_bar_goes_on_with_what_was_recorded_of_it_in_the_store_and_on_the_way(
    store: Store, tmp_path: Path
) -> None:
    before = RecordingBuffer([MARKET], tmp_path, numbered=False)
    for number in range(40):
        heard(before, number, START_US + number * 10_000_000 + 1)
    spool = Spool(tmp_path / "spool" / "former")
    frames = before.take(None)
    half = {name: frame.filter(pl.col("known_at") <= START + timedelta(minutes=4)) for name, frame in frames.items()}
    spool.write(half)
    spool.close()
    load_recordings(store, tmp_path / "spool")
    recorder = Spool(tmp_path / "spool" / "former")  # still at it: the rest is in a segment that is not sealed
    recorder.write(frames)

    now = START + timedelta(minutes=6, seconds=30)
    buffer = RecordingBuffer([MARKET], tmp_path, numbered=False)
    held = {name: RecordedSeries(name, READ) for name in TABLE_OF}
    for number in range(39, 60):  # what both heard counts once
        heard(buffer, number, START_US + number * 10_000_000 + 1)
    mine = buffer.take(None)
    wanted = {(TABLE_OF[name].name, MARKET): series.reach(now) for name, series in held.items()}
    assert set(wanted.values()) == {datetime(2025, 5, 20, 7, 5, tzinfo=UTC)}
    past = recorded_rows(store, tmp_path / "spool", wanted)
    for name, series in held.items():
        series.add(rows_of(mine)[name])
        series.load(past[TABLE_OF[name].name, MARKET])
    recorder.write(mine)
    recorder.close()
    load_recordings(store, tmp_path / "spool")
    at = START + timedelta(minutes=10)
    for name, series in held.items():
        span = {"start": START, "end": at}
        for timeframe in READ:
            one = Timeframe.parse(timeframe)
            table = read_companions(store, MARKET, timeframe=one, names=[name], **span)[name]  # type: ignore[arg-type]
            assert_frame_equal(series.rows(timeframe, at), table, check_exact=True)
    assert store.read(PUBLIC_TRADES).height == 30
    assert store.read(BOOK_SNAPSHOTS).height == 30


def test_rows_of_which_no_bar_comes_do_not_pile_up() -> None:
    series = RecordedSeries("trades", {"1m": 3})
    series.load(pl.DataFrame(schema=PUBLIC_TRADES.columns))
    with tempfile.TemporaryDirectory() as folder:
        buffer = RecordingBuffer([MARKET], Path(folder), numbered=False)
    for number in range(1, 400, 2):
        heard(buffer, number, START_US + number * 5_000_000)
        series.add(buffer.take(None)["public_trades"])
        series.tidy()
    assert series.waits < 100


def test_what_was_heard_reaches_the_disk_without_being_waited_for_and_a_refusal_is_told_once(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    refuses = ["No space left on device"] * 3

    class Refusing(Spool):
        def write(self, frames: Mapping[str, pl.DataFrame]) -> int:
            if refuses and frames:
                raise OSError(28, refuses.pop())
            return super().write(frames)

    writer = SpoolWriter(Refusing(tmp_path / "spool" / "node"), lambda *one: told.append(one))
    buffer = RecordingBuffer([MARKET], tmp_path / "spool" / "node", numbered=True)
    for number in (1, 3, 5):
        heard(buffer, number, START_US + number)
        writer.put(buffer.take(None), buffer.noted())
    while refuses or writer.trouble is not None:
        pass
    writer.close()
    assert [event for event, _ in told] == ["recording refused"]
    assert "No space left on device" in told[0][1]
    after = recorded_rows_of(tmp_path / "spool")
    assert after["trade_id"].to_list() == ["1", "3", "5"]
    assert RecordingBuffer([MARKET], tmp_path / "spool" / "node", numbered=True).noted() == buffer.noted()


def recorded_rows_of(root: Path) -> pl.DataFrame:
    store = open_store(f"duckdb:///{root.parent / 'empty.duckdb'}")
    return recorded_rows(store, root, {("public_trades", MARKET): START})["public_trades", MARKET]
