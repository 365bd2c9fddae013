"""Streamed candles: stored at once by the rules of a fetch, replaced by the history when the hourly run reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.defs.small import SYNA, Location, Undisturbed, copy_of
from trading_assets.core.errors import StoreError
from trading_assets.recordings import Spool, load_recordings, load_streamed, pending
from trading_assets.recordings.spool import CANDLES_FOLDER
from trading_assets.settings import Settings
from trading_assets.sources import IngestReport
from trading_assets.sources.ingest.streamed import Streamed, take_streamed
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLE_REVISIONS, CANDLES, CANDLES_QUARANTINE, STREAMED_CANDLES
from trading_live.recording.candles import CandleWriter, StreamedCandle

NOW = datetime(2025, 3, 14, 20, 5, tzinfo=UTC)
"""Two hours after the end of an outage of the sample's exchange."""
HISTORY_UNTIL = NOW - timedelta(hours=8)
STREAMED_FROM = NOW - timedelta(hours=6)
MINUTE = timedelta(minutes=1)


def streamed(candles: pl.DataFrame) -> pl.DataFrame:
    rows = candles.with_columns(known_at=pl.col("ts") + MINUTE, source=pl.lit("binance-live"))
    return rows.select(list(STREAMED_CANDLES.columns))


class World:
    """A store whose history ends eight hours ago, and two hours later a recorder began to stream."""

    def __init__(self, location: Location, undisturbed: Undisturbed, folder: Path) -> None:
        self.settings: Settings = copy_of(undisturbed, location, folder)
        self.store: Store = open_store(self.settings.store_url)
        where = {"market": SYNA}
        self.true = undisturbed.store.read(CANDLES, where=where, end=NOW)
        self.store.replace(CANDLES, self.true[:0], where=where, start=HISTORY_UNTIL, end=NOW)
        self._location = location
        heard = self.true.filter(pl.col("ts") >= STREAMED_FROM)
        number = pl.int_range(pl.len())
        self.heard = heard.with_columns(volume=pl.col("volume") + pl.when(number % 100 == 7).then(1.0).otherwise(0.0))
        self.differing = self.heard.filter(number % 100 == 7).height

    def fetch(self, now: datetime = NOW) -> IngestReport:
        (window,) = self._location.module("lib.partitions").windows([f"{SYNA}|2025-03"], self.settings)
        fetching = self._location.module("market_data.fetching")
        report: IngestReport = fetching.fetch_window(
            self.store, window, self.settings, kind=fetching.Fetch.REST, now=now, log=lambda _line: None
        )
        return report

    @property
    def stored(self) -> pl.DataFrame:
        return self.store.read(CANDLES, where={"market": SYNA}, end=NOW)


@pytest.fixture
def world(location: Location, undisturbed: Undisturbed, tmp_path: Path) -> World:
    return World(location, undisturbed, tmp_path)


def test_streamed_candles_are_stored_at_once_and_replaced_where_the_history_differs(world: World) -> None:
    rows = streamed(world.heard)
    assert take_streamed(world.store, rows, now=NOW) == rows.height
    assert take_streamed(world.store, rows.with_columns(pl.col("volume") * 2), now=NOW) == 0, "the first one stays"
    assert world.stored.filter(pl.col("ts") >= STREAMED_FROM).equals(world.heard)
    report = world.fetch()
    assert world.stored.equals(world.true), "what the stream missed is fetched, too"
    assert (report.streamed, report.streamed_differed) == (rows.height, world.differing)
    assert f"{rows.height:,} had been streamed, {world.differing} of them with other values" in str(report)
    assert world.store.read(STREAMED_CANDLES).is_empty()
    again = world.fetch()
    assert (again.streamed, again.streamed_differed, again.revised) == (0, 0, 0)
    kept = world.store.read(CANDLE_REVISIONS, where={"market": SYNA})
    assert kept.filter(pl.col("old_volume") == pl.col("new_volume") + 1).height == world.differing


def test_a_candle_that_the_history_does_not_have_is_none_and_what_was_streamed_is_kept(world: World) -> None:
    gone = world.heard[50:51]
    missing = pl.datetime_range(STREAMED_FROM, NOW, "1m", closed="left", time_unit="us", time_zone="UTC", eager=True)
    absent = missing.filter(~missing.is_in(world.true["ts"].implode()))
    extra = gone.with_columns(ts=pl.lit(absent[0], world.heard.schema["ts"]))
    take_streamed(world.store, streamed(pl.concat([world.heard, extra]).sort("ts")), now=NOW)
    report = world.fetch()
    assert world.stored.equals(world.true)
    assert report.streamed_differed == world.differing + 1
    (noted,) = world.store.read(CANDLE_REVISIONS).filter(pl.col("ts") == absent[0]).iter_rows(named=True)
    assert (noted["old_close"], noted["new_close"]) == (gone["close"][0], None)


def test_a_kill_in_between_leaves_nothing_half(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the candles were replaced and before their marks went: the next run reads the same again."""
    take_streamed(world.store, streamed(world.heard), now=NOW)

    def killed(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Streamed, "settle", killed)
        with pytest.raises(KeyboardInterrupt):
            world.fetch()
    assert world.stored.equals(world.true)
    assert world.store.read(STREAMED_CANDLES).height == world.heard.height
    report = world.fetch()
    assert (report.streamed, report.streamed_differed) == (world.heard.height, world.differing)
    assert world.stored.equals(world.true)
    assert world.store.read(STREAMED_CANDLES).is_empty()


def test_what_is_no_candle_goes_to_quarantine_as_from_a_fetch(world: World) -> None:
    broken = world.heard[:3].with_columns(high=pl.col("low") - 1)
    assert take_streamed(world.store, streamed(pl.concat([broken, world.heard[3:]])), now=NOW) == world.heard.height - 3
    kept = world.store.read(CANDLES_QUARANTINE, where={"market": SYNA}, start=STREAMED_FROM)
    mine = kept.filter(source="binance-live")
    assert mine.height == 3
    assert mine["reason"].str.contains("high_too_low").all()


def candles_of(frame: pl.DataFrame) -> list[StreamedCandle]:
    return [StreamedCandle(**row) for row in streamed(frame).iter_rows(named=True)]


def test_a_store_that_is_held_is_not_waited_for_and_the_candles_come_in_later(world: World, tmp_path: Path) -> None:
    root, held = tmp_path / "recordings", [True]

    def take(rows: pl.DataFrame) -> int:
        if held[0]:
            raise StoreError("another process holds it", where="market.duckdb")
        return take_streamed(world.store, rows, now=NOW)

    writer = CandleWriter(Spool(root / f"binance-live{CANDLES_FOLDER}"), root, take)
    first, *others = candles_of(world.heard[:5])
    writer.put(first)
    while not writer.waits:
        pass
    assert pending(root), "on disk, where a kill leaves it"
    held[0] = False
    for one in others:
        writer.put(one)
    writer.close()
    assert (writer.stored, writer.waits) == (5, False)
    assert world.stored.filter(pl.col("ts") >= STREAMED_FROM).equals(world.heard[:5])
    assert not pending(root)


def test_what_a_killed_recorder_left_is_loaded_with_the_recordings_and_once(world: World, tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    spool = Spool(root / f"binance-live{CANDLES_FOLDER}")
    spool.write({STREAMED_CANDLES.name: streamed(world.heard[:4])})
    spool._lock.close()  # as the system does

    def take(rows: pl.DataFrame) -> int:
        return take_streamed(world.store, rows, now=NOW)

    def die(rows: pl.DataFrame) -> int:
        take(rows)
        raise KeyboardInterrupt

    assert load_recordings(world.store, root).segments == 0, "candles are no recording"
    with pytest.raises(KeyboardInterrupt):
        load_streamed(root, die)
    assert load_streamed(root, take) == 0, "stored already"
    assert not pending(root)
    assert world.stored.filter(pl.col("ts") >= STREAMED_FROM).equals(world.heard[:4])
