"""Candles that come again with other values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.sources.gaps.test_gaps import MARKET, MINUTES, NOW, Tape, fill
from trading_assets.sources import ingest
from trading_assets.sources.ingest.revisions import record_revisions
from trading_assets.store import Store
from trading_assets.store.tables import CANDLE_REVISIONS, CANDLES

Make = Callable[..., pl.DataFrame]


def revised(frame: pl.DataFrame, minute: int, close: float) -> pl.DataFrame:
    return frame.with_columns(close=pl.when(pl.int_range(pl.len()) == minute).then(close).otherwise("close"))


def test_a_revised_candle_is_replaced_and_its_old_values_are_kept(store: Store, plain_candles: Make) -> None:
    first = plain_candles(MINUTES)
    assert fill(store, Tape(first)).revised == 0
    report = fill(store, Tape(revised(first, 33, 105.5)))
    assert report.revised == 1
    assert "1 revised" in str(report)
    (row,) = store.read(CANDLE_REVISIONS).to_dicts()
    assert (row["ts"], row["seen_at"], row["source"]) == (first["ts"][33], NOW, "tape")
    assert (row["old_close"], row["new_close"]) == (first["close"][33], 105.5)
    assert row["old_volume"] == row["new_volume"] == 10
    assert store.read(CANDLES)["close"][33] == 105.5


def test_the_same_values_again_are_no_revision(store: Store, plain_candles: Make) -> None:
    fill(store, Tape(plain_candles(MINUTES)))
    assert fill(store, Tape(plain_candles(MINUTES))).revised == 0
    assert store.read(CANDLE_REVISIONS).is_empty()


class Killed(Exception):
    """The process ends here."""


class KilledBeforeTheCandles:
    """A store whose process dies between the note of the revision and the candles."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def upsert(self, table: object, frame: pl.DataFrame) -> int:
        if table is CANDLES:
            raise Killed
        return self._store.upsert(table, frame)  # type: ignore[arg-type]


def test_a_kill_between_the_note_and_the_candle_neither_loses_nor_doubles_the_note(
    store: Store, plain_candles: Make
) -> None:
    first = plain_candles(MINUTES)
    changed = Tape(revised(first, 33, 105.5))
    fill(store, Tape(first))
    with pytest.raises(Killed):
        fill(KilledBeforeTheCandles(store), changed)  # type: ignore[arg-type]
    assert store.read(CANDLES)["close"][33] == first["close"][33]
    window = {"start": first["ts"][0], "end": first["ts"][-1] + timedelta(minutes=1)}
    later = datetime(2025, 6, 2, tzinfo=UTC)
    report = ingest(store, changed, market=MARKET, timeframe="1m", **window, now=later)
    assert report.revised == 1
    assert store.read(CANDLE_REVISIONS)["seen_at"].to_list() == [NOW]
    assert store.read(CANDLES)["close"][33] == 105.5


def test_every_change_of_mind_is_a_row(store: Store, plain_candles: Make) -> None:
    named = {"market": pl.lit(MARKET), "timeframe": pl.lit("1m")}
    first = plain_candles(10).with_columns(**named).select(list(CANDLES.columns))
    for day, close in enumerate([first["close"][3], 105.5, first["close"][3], 105.5]):
        rows = revised(first, 3, close)
        record_revisions(store, rows, source="tape", now=NOW + timedelta(days=day))
        store.upsert(CANDLES, rows)
    found = store.read(CANDLE_REVISIONS)
    assert found["new_close"].to_list() == [105.5, first["close"][3], 105.5]
