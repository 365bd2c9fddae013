"""Tables that move: to another engine, into a backup and back; whatever happens in between is found out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from tests.servers import postgres_server, timescale_server
from tests.store.conftest import on_hypertables_too
from tests.stores import fresh_store
from trading_assets.core.candles import OHLCV, TS
from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import StoreError
from trading_assets.store import TABLES, Store, open_store
from trading_assets.store.backup import MANIFEST, Backup, back_up
from trading_assets.store.migration import LAYOUT, LAYOUTS, migrate
from trading_assets.store.tables import BOOK_SNAPSHOTS, CANDLES, CANDLES_QUARANTINE, FEATURES, FOLDS
from trading_assets.store.transfer import Portion, StoreAsPlace, copy
from trading_cli.main import app

START = datetime(2025, 1, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROWS = {"candles": 530, "candles_quarantine": 2, "book_snapshots": 2, "features": 48, "folds": 2}
FILLED = [TABLES[name] for name in ROWS]


def hours(count: int, start: datetime = START) -> pl.Series:
    return pl.datetime_range(start, start + count * 60 * MINUTE, "1h", closed="left", time_unit="us", eager=True)


def candles(market: str = "x:A/B", count: int = 500) -> pl.DataFrame:
    prices = np.random.default_rng(7).lognormal(size=(count, 5))
    prices[3, 4] = np.nan
    columns = {"ts": hours(count), **dict(zip(OHLCV, prices.T, strict=True))}
    return pl.DataFrame(columns).with_columns(market=pl.lit(market), timeframe=pl.lit("1h")).select(*CANDLES.columns)


@pytest.fixture(scope="module")
def source_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an embedded store with a row or more of every kind of column."""
    folder = tmp_path_factory.mktemp("source")
    store = fresh_store(folder)
    with store.kept_open():
        fill(store)
    return folder / "market.duckdb"


@pytest.fixture
def source(source_file: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy of that store, opened once."""
    store = open_store(f"duckdb:///{shutil.copy(source_file, tmp_path / 'source.duckdb')}")
    with store.kept_open():
        yield store


def fill(store: Store) -> None:
    store.upsert(CANDLES, pl.concat([candles(), candles("x:C/B", 30)]))
    bars = pl.DataFrame({"ts": hours(48)}).select(
        market=pl.lit("x:A/B"), timeframe=pl.lit("1h"), ts="ts", known_at="ts"
    )
    store.upsert(FEATURES, bars.with_columns(zeta=pl.lit(0.5), alpha=pl.when(pl.col("ts") > START).then(1.5)))
    levels = {name: [[1.0, 0.1], []] for name in ("bid_prices", "bid_sizes", "ask_prices")} | {
        "ask_sizes": [None, [2.0]]
    }
    book = {"market": "x:A/B", "ts": [START, START + MINUTE], "known_at": [START] * 2, "sequence": [1, 2], **levels}
    store.upsert(BOOK_SNAPSHOTS, pl.DataFrame(book, schema=BOOK_SNAPSHOTS.columns))
    bad = {name: [None] * 2 for name in CANDLES_QUARANTINE.columns} | {"market": ["x:A/B"] * 2, "timeframe": ["1h"] * 2}
    bad |= {"ts": [START] * 2, "row_hash": [3, 2**64 - 1], "reason": ["", "it's é"]}
    store.upsert(CANDLES_QUARANTINE, pl.DataFrame(bad, schema=CANDLES_QUARANTINE.columns))
    folds = {name: [None] * 2 for name in FOLDS.columns} | {"model": ["m", "n"], "fold": [1, 1], "side": [1, -1]}
    store.upsert(FOLDS, pl.DataFrame(folds, schema=FOLDS.columns))


def contents(store: Store) -> dict[str, str]:
    place = StoreAsPlace(store)
    with store.kept_open():
        return {str(portion): frame_hash(place.load(portion)) for table in FILLED for portion in place.portions(table)}


def bring(source: Store, target: Store, follow: Callable[[Portion], None] | None = None) -> dict[str, tuple[int, int]]:
    done = copy(StoreAsPlace(source), target, FILLED, follow)
    return {one.table.name: (one.rows, one.written) for one in done if one.rows}


@on_hypertables_too
def test_a_copy_to_any_engine_and_back_has_the_same_content(source: Store, url: str, tmp_path: Path) -> None:
    there, back = open_store(url), open_store(f"duckdb:///{tmp_path / 'back.duckdb'}")
    assert bring(source, there) == {name: (rows, rows) for name, rows in ROWS.items()}
    assert bring(there, back) == {name: (rows, rows) for name, rows in ROWS.items()}
    assert contents(back) == contents(there) == contents(source)
    assert back.read(CANDLES).equals(source.read(CANDLES))
    assert set(contents(source)) >= {"candles x:A/B 1h 2025-01", "candles x:A/B 1h 2025-02", "folds m", "folds n"}


def test_a_copy_that_was_interrupted_goes_on_where_it_stopped(source: Store, url: str) -> None:
    target = open_store(url)

    def stop_at_february(portion: Portion) -> None:
        if "2025-02" in str(portion):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(source, target, stop_at_february)
    assert bring(source, target)["candles"] == (530, 30)
    assert bring(source, target) == {name: (rows, 0) for name, rows in ROWS.items()}


def test_a_copy_brings_revised_rows_and_leaves_those_that_only_the_target_has(source: Store, url: str) -> None:
    target = open_store(url)
    target.upsert(CANDLES, candles("x:Z/B", 5))
    bring(source, target)
    source.upsert(CANDLES, candles("x:C/B", 30).with_columns(close=pl.lit(9.0)))
    copied = next(copy(StoreAsPlace(source), target, [CANDLES]))
    assert (copied.rows, copied.written, copied.others) == (530, 30, 5)
    assert len(target.read(CANDLES, where={"market": "x:Z/B"})) == 5


def test_a_copy_that_does_not_arrive_as_it_was_sent_is_an_error(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = open_store(f"duckdb:///{tmp_path / 'target.duckdb'}")
    replace = type(target).replace
    monkeypatch.setattr(
        type(target), "replace", lambda self, table, frame, **scope: replace(self, table, frame.head(3), **scope)
    )
    with pytest.raises(StoreError, match=r"candles: candles x:A/B 1h 2025-01 is not at the target what it is"):
        bring(source, target)


@on_hypertables_too
def test_migrating_twice_does_nothing_the_second_time(url: str) -> None:
    store = open_store(url)
    first = migrate(store)
    assert first[-1] == f"layout 0 -> {LAYOUT}"
    assert migrate(store) == []
    assert store.read(LAYOUTS)["layout"].to_list() == [LAYOUT]


def test_a_store_of_newer_software_is_left_alone(source: Store, url: str) -> None:
    store = open_store(url)
    future = pl.DataFrame({"layout": [LAYOUT + 1], "since": [START]}, schema={"layout": pl.Int32, "since": TS})
    store.upsert(LAYOUTS, future)
    with pytest.raises(StoreError, match=rf"layout {LAYOUT + 1}, this software knows {LAYOUT}; update"):
        bring(source, store)
    assert store.read(CANDLES).is_empty()


# backups


def test_a_backup_restored_into_another_engine_has_the_same_content(source: Store, url: str, tmp_path: Path) -> None:
    assert back_up(source, tmp_path / "backup", FILLED) == sum(ROWS.values())
    target = open_store(url)
    list(copy(Backup.open(tmp_path / "backup"), target, FILLED))
    assert contents(target) == contents(source)


def test_a_backup_that_fails_halfway_leaves_nothing(source: Store, tmp_path: Path) -> None:
    def fail(portion: Portion) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(source, tmp_path / "backup", FILLED, fail)
    assert not [path for path in tmp_path.iterdir() if "backup" in path.name]
    (tmp_path / "backup").mkdir()
    with pytest.raises(StoreError, match=r"backup: there is something already; name a folder that does not exist"):
        back_up(source, tmp_path / "backup", FILLED)


@pytest.mark.parametrize("damage", ["a value", "a row", "half of the file", "no file"])
def test_a_damaged_backup_is_found_out_before_anything_is_written(source: Store, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "backup"
    back_up(source, folder, FILLED)
    file = folder / "candles" / "00002.parquet"
    frame = pl.read_parquet(file)
    if damage == "a value":
        frame.with_columns(
            pl.when(pl.col("ts") == frame["ts"][5]).then(1.0).otherwise("low").alias("low")
        ).write_parquet(file)
    elif damage == "a row":
        frame.head(-1).write_parquet(file)
    elif damage == "half of the file":
        file.write_bytes(file.read_bytes()[:500])
    else:
        file.unlink()
    target = tmp_path / "target.duckdb"
    result = CliRunner().invoke(app, ["store", "restore", str(folder), "--url", f"duckdb:///{target}"])
    assert isinstance(result.exception, StoreError)
    assert str(file) in str(result.exception)
    assert "use another backup" in str(result.exception)
    assert not target.exists()


def test_a_folder_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    for text in (None, "{", "[]", "{}"):
        if text is not None:
            (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(StoreError, match=r"no backup: manifest\.json cannot be read"):
            Backup.open(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"format": 99, "layout": 1, "files": []}))
    with pytest.raises(StoreError, match="newer software made this backup"):
        Backup.open(tmp_path)


# the command


def test_the_command_moves_a_store_and_says_what_it_did(source: Store, tmp_path: Path) -> None:
    run = CliRunner().invoke
    one, server = f"duckdb:///{tmp_path / 'source.duckdb'}", postgres_server().fresh_database()
    said = run(app, ["store", "migrate", "--url", server]).output
    assert "made the table candles" in said
    assert "nothing to do" in run(app, ["store", "migrate", "--url", server]).output
    said = run(app, ["store", "copy", one, server]).output
    assert "verified: counts and content hashes agree" in said
    assert "530" in said
    said = run(app, ["store", "backup", str(tmp_path / "b"), "--url", server, "--table", "folds"]).output
    assert "2 rows of 1 tables are in" in said
    assert contents(open_store(server)) == contents(source)
    for arguments, message in {
        ("copy", one, one): "the same store",
        ("copy", one, server, "--table", "candels"): "no table 'candels'",
        ("backup", str(tmp_path / "b"), "--url", one): "there is something already",
    }.items():
        assert message in str(run(app, ["store", *arguments]).exception)


def test_timescale_keeps_what_it_was_given_through_compression_and_a_backup(source: Store, tmp_path: Path) -> None:
    store = open_store(timescale_server().fresh_database(), lock_timeout_s=300)
    bring(source, store)
    before = contents(store)
    store.query("SELECT 1")
    back_up(store, tmp_path / "backup", [CANDLES])
    list(copy(Backup.open(tmp_path / "backup"), store, [CANDLES]))
    assert contents(store) == before
