"""The recorder's spool and its way into the store: whatever dies when, each row is stored once."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.stores import fresh_store
from trading_assets.core.errors import NodeError, StoreError
from trading_assets.recordings import Spool, load_recordings, pending, read_segment
from trading_assets.recordings.spool import take_lock
from trading_assets.store import Store
from trading_assets.store.duckdb.store import DuckDBStore
from trading_assets.store.tables import BOOK_SNAPSHOTS, PUBLIC_TRADES, Table

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
MARKETS = ("binance:BTC/USDT:USDT", "binance:ETH/USDT:USDT")


def trades(*rows: tuple[int, int, int]) -> pl.DataFrame:
    """Trades from (market, number, seconds on the way)."""
    values = [
        (
            MARKETS[market],
            NOON + timedelta(seconds=number),
            NOON + timedelta(seconds=number + delay),
            str(number),
            100.0 + number,
            0.5,
            "buy" if number % 2 else "sell",
        )
        for market, number, delay in rows
    ]
    return pl.DataFrame(values, schema=PUBLIC_TRADES.columns, orient="row")


def books(*rows: tuple[int, int, int]) -> pl.DataFrame:
    """Snapshots from (market, sequence, seconds on the way)."""
    values = [
        (
            MARKETS[market],
            NOON + timedelta(seconds=number),
            NOON + timedelta(seconds=number + delay),
            number,
            [100.0, 99.0],
            [1.0, float(number)],
            [101.0],
            [2.0],
        )
        for market, number, delay in rows
    ]
    return pl.DataFrame(values, schema=BOOK_SNAPSHOTS.columns, orient="row")


def written(folder: Path, **frames: pl.DataFrame) -> None:
    spool = Spool(folder)
    spool.write(frames)
    spool.close()


class Killed(BaseException):
    """What ends a process in the middle of a load."""


class Dying:
    """A store whose process is killed at the n-th write, before or after it."""

    def __init__(self, store: Store, writes: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, writes, after

    def read(self, *args: Any, **kwargs: Any) -> pl.DataFrame:
        return self._store.read(*args, **kwargs)

    def upsert(self, table: Table, frame: pl.DataFrame) -> int:
        if self._left == 0 and not self._after:
            raise Killed
        count = self._store.upsert(table, frame)
        if self._left == 0:
            raise Killed
        self._left -= 1
        return count


_ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=6)
_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("trades"), _ROWS),
        st.tuples(st.just("books"), _ROWS),
        st.tuples(st.just("kill"), st.binary(max_size=30)),
        st.tuples(st.just("seal"), st.none()),
        st.tuples(st.just("load"), st.none()),
        st.tuples(st.just("load again"), st.none()),
        st.tuples(st.just("die loading"), st.tuples(st.integers(0, 2), st.booleans())),
    ),
    min_size=3,
    max_size=12,
)


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples, opened once."""
    store = fresh_store(tmp_path_factory.mktemp("spool"))
    with store.kept_open():
        yield store


@examples(25)
@given(operations=_OPERATIONS)
def test_whatever_repeats_or_dies_each_row_is_stored_once_as_it_was_first_received(
    operations: list[tuple[str, Any]], emptied: Store
) -> None:
    store = emptied
    with TemporaryDirectory() as place:
        folder, copies = Path(place) / "spool" / "binance-live", Path(place) / "copies"
        for table in (PUBLIC_TRADES, BOOK_SNAPSHOTS):
            store.replace(table, pl.DataFrame(schema=table.columns), where={})
        expected: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {"public_trades": {}, "book_snapshots": {}}
        spool = Spool(folder)
        for operation, given_value in operations:
            if operation in ("trades", "books"):
                table = PUBLIC_TRADES if operation == "trades" else BOOK_SNAPSHOTS
                frame = trades(*given_value) if operation == "trades" else books(*given_value)
                spool.write({table.name: frame})
                _expect(expected[table.name], table, frame)
            elif operation == "seal":
                spool.seal()
            elif operation == "kill":
                spool = _killed(spool, folder, torn=given_value)
            elif operation == "load again":  # what was loaded once comes back, as from a copy
                shutil.copytree(folder, copies, dirs_exist_ok=True)
                load_recordings(store, folder.parent)
                for path in copies.glob("*.segment"):
                    shutil.copy(path, folder)
            elif operation == "die loading":
                writes, after = given_value
                with suppress(Killed):
                    load_recordings(Dying(store, writes, after=after), folder.parent)  # type: ignore[arg-type]
            else:
                load_recordings(store, folder.parent)
        spool.close()
        load_recordings(store, folder.parent)
        assert not pending(folder.parent)
        for table in (PUBLIC_TRADES, BOOK_SNAPSHOTS):
            wanted = sorted(expected[table.name].values(), key=lambda row: [row[column] for column in table.key])
            assert store.read(table).to_dicts() == wanted


def _expect(found: dict[tuple[Any, ...], dict[str, Any]], table: Table, frame: pl.DataFrame) -> None:
    for row in frame.iter_rows(named=True):
        key = tuple(row[column] for column in table.key)
        if key not in found or row["known_at"] < found[key]["known_at"]:
            found[key] = row


def _killed(spool: Spool, folder: Path, *, torn: bytes) -> Spool:
    """The recorder's process is gone, perhaps in the middle of a write; another one starts."""
    if spool._part is not None:
        spool._part.write(torn)
        spool._part.close()
    spool._lock.close()
    return Spool(folder)


@examples(60)
@given(st.data())
def test_a_segment_cut_anywhere_gives_the_records_before_the_cut(data: st.DataObject) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        spool = Spool(folder)
        ends = [0]
        for number in range(4):
            ends.append(ends[-1] + spool.write({"public_trades": trades((0, number, 0))}))
        spool.close()
        (path,) = folder.glob("*.segment")
        cut = data.draw(st.integers(0, ends[-1]))
        path.write_bytes(path.read_bytes()[:cut])
        whole = sum(end <= cut for end in ends[1:])
        segment = read_segment(path)
        numbers = segment.frames["public_trades"]["trade_id"].to_list() if whole else []
        assert numbers == [str(number) for number in range(whole)]
        assert segment.torn_bytes == cut - ends[whole]


def test_a_changed_byte_ends_the_segment_there_and_the_file_is_left_to_look_at(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "okx-live"
    spool = Spool(folder)
    first = spool.write({"public_trades": trades((0, 1, 0))})
    spool.write({"public_trades": trades((0, 2, 0))})
    spool.close()
    (path,) = folder.glob("*.segment")
    content = bytearray(path.read_bytes())
    content[first + 40] ^= 1
    path.write_bytes(content)
    report = load_recordings(store, folder.parent)
    assert report.rows["public_trades"] == 1
    assert report.torn_bytes == len(content) - first
    assert [one.suffix for one in folder.iterdir() if one.stem == path.stem] == [".torn"]


def test_a_segment_is_sealed_when_it_is_old_enough_and_only_then_loaded(store: Store, tmp_path: Path) -> None:
    young, old = Spool(tmp_path / "a", segment_s=60), Spool(tmp_path / "b", segment_s=0)
    for spool in (young, old):
        spool.write({"public_trades": trades((0, 1 if spool is young else 2, 0))})
    assert [path.parent.name for path in pending(tmp_path)] == ["b"]
    load_recordings(store, tmp_path)
    assert store.read(PUBLIC_TRADES)["trade_id"].to_list() == ["2"]
    young.close()
    load_recordings(store, tmp_path)
    assert store.read(PUBLIC_TRADES)["trade_id"].to_list() == ["1", "2"]
    old.close()


def test_empty_frames_make_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.write({"public_trades": trades()}) == 0
    spool.close()
    assert not pending(tmp_path.parent)


def test_loaded_segments_can_be_kept(store: Store, tmp_path: Path) -> None:
    written(tmp_path / "spool", public_trades=trades((0, 1, 0)))
    load_recordings(store, tmp_path, keep=True)
    assert len(list((tmp_path / "spool" / "loaded").iterdir())) == 1
    assert load_recordings(store, tmp_path, keep=True).segments == 0


def test_two_recorders_do_not_write_to_one_folder(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(NodeError, match=r"a recorder writes here already.*Ctrl-C"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NodeError, match=r"file: the recording cannot be written.*check the disk"):
        Spool(tmp_path / "file")


@contextmanager
def full_disk(left: int) -> Iterator[None]:
    """The system lets no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_rows_that_a_full_disk_took_only_in_part_can_be_written_again_and_hide_nothing(
    store: Store, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "one")
    first, second, third = (
        {"public_trades": trades(*((0, number, number % 7) for number in range(begin, begin + 3000)))}
        for begin in (0, 3000, 6000)
    )
    size = spool.write(first)
    with full_disk(size + 9000), pytest.raises(NodeError, match="cannot be written: File too large"):
        spool.write(second)
    spool.write(second)
    spool.write(third)
    spool.close()
    report = load_recordings(store, tmp_path)
    assert store.read(PUBLIC_TRADES)["trade_id"].to_list() == [str(number) for number in range(9000)]
    assert report.torn_bytes == 0


def test_while_another_holds_the_store_a_load_waits_then_gives_up_and_loses_nothing(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "market.duckdb", lock_timeout_s=0.2)
    store.upsert(PUBLIC_TRADES, trades((1, 1, 0)))
    written(tmp_path / "spool" / "one", public_trades=trades((0, 1, 0)))
    with duckdb.connect(str(store.path)), pytest.raises(StoreError, match="held by"):
        load_recordings(store, tmp_path / "spool")
    assert len(pending(tmp_path / "spool")) == 1
    assert load_recordings(replace(store, lock_timeout_s=60), tmp_path / "spool").rows["public_trades"] == 1


def test_one_load_at_a_time(store: Store, tmp_path: Path) -> None:
    written(tmp_path / "one", public_trades=trades((0, 1, 0)))
    lock = take_lock(tmp_path / "one" / "loader.lock")
    assert lock is not None
    with pytest.raises(NodeError, match="another process loads"):
        load_recordings(store, tmp_path, wait_s=0.1)
    lock.close()
    assert load_recordings(store, tmp_path).segments == 1


def test_nothing_recorded_is_nothing_loaded(store: Store, tmp_path: Path) -> None:
    rows: Mapping[str, int] = load_recordings(store, tmp_path / "nowhere").rows
    assert set(rows.values()) == {0}
