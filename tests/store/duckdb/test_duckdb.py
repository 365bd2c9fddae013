"""What is particular to the embedded engine: one file that others may hold, damage or have made earlier."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, StoreError
from trading_assets.store.duckdb import store as duckdb_store
from trading_assets.store.duckdb.database_file import opened
from trading_assets.store.duckdb.read_write_lock import ReadWriteLock
from trading_assets.store.duckdb.store import DuckDBStore
from trading_assets.store.tables import BACKTEST_METRICS, EQUITY, FEATURES, TABLES, Table

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder of its own" / "market.duckdb"


@pytest.fixture
def store(path: Path) -> DuckDBStore:
    return DuckDBStore(path, lock_timeout_s=0.3)


def metrics(value: float = 1.0) -> pl.DataFrame:
    return pl.DataFrame(
        {"model": ["m"], "version": pl.Series([1], dtype=pl.Int32), "metric": ["sharpe"], "value": [value]}
    )


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_address_may_be_absolute_or_start_at_the_project(tmp_path: Path) -> None:
    assert DuckDBStore.from_url(f"duckdb:///{tmp_path}/x.duckdb").path == tmp_path / "x.duckdb"
    relative = DuckDBStore.from_url("duckdb:///data/x.duckdb").path
    assert relative.is_absolute()
    assert relative.parts[-2:] == ("data", "x.duckdb")


def test_reading_makes_no_file(store: DuckDBStore) -> None:
    assert store.read(BACKTEST_METRICS).is_empty()
    assert not store.path.parent.exists()


def test_the_first_write_makes_a_file_with_its_tables_and_says_what_they_mean(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    described = store.query("SELECT table_name, comment FROM duckdb_tables()")
    assert set(described["table_name"]) == {table.name for table in TABLES.values() if not table.on_demand}
    assert all(described["comment"].str.contains("Key: "))
    assert [file.name for file in store.path.parent.iterdir() if "queue" not in file.name] == ["market.duckdb"]


def test_an_identical_upsert_leaves_the_file_as_it_was(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    before = hashlib.sha256(store.path.read_bytes()).hexdigest()
    store.upsert(BACKTEST_METRICS, metrics())
    store.replace(BACKTEST_METRICS, metrics(), where={"model": "m"})
    assert hashlib.sha256(store.path.read_bytes()).hexdigest() == before


def test_a_file_held_for_too_long_is_named_with_its_holder(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    tried: list[object] = []
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *how, **more: tried.append(how) or connect(*how, **more))
    patient = replace(store, lock_timeout_s=1.0)
    with held_by_another_process(store.path) as process:
        for call in (lambda: patient.read(BACKTEST_METRICS), lambda: patient.upsert(BACKTEST_METRICS, metrics(2.0))):
            with pytest.raises(StoreError) as caught:
                call()
            assert str(store.path) in str(caught.value)
            assert f"process {process.pid} (" in str(caught.value)
            assert "store.lock_timeout_s" in str(caught.value)
        assert len(tried) > 2, "each call tries again until its timeout"
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [1.0]


def test_a_call_waits_until_the_holder_lets_go(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    patient = replace(store, lock_timeout_s=300)
    with held_by_another_process(store.path) as process:
        threading.Timer(0.3, process.kill).start()
        patient.upsert(BACKTEST_METRICS, metrics(2.0))
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [2.0]


def test_readers_of_several_processes_share_the_file(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with opened(store.path, write=False, timeout_s=60):
        script = (
            "import sys; from pathlib import Path; from trading_assets.store.duckdb.store import DuckDBStore as S; "
        )
        script += "from trading_assets.store.tables import BACKTEST_METRICS as T; "
        script += "print(len(S(Path(sys.argv[1]), 300).read(T)))"
        command = [sys.executable, "-c", script, str(store.path)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


def test_a_connection_that_the_same_process_keeps_is_named_as_the_holder(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with duckdb.connect(str(store.path)), pytest.raises(StoreError, match="another connection of this process"):
        store.read(BACKTEST_METRICS)


@pytest.mark.parametrize("content", [b"", b"not a database " * 1000])
def test_a_file_that_is_no_database_is_named_and_left_alone(store: DuckDBStore, content: bytes) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    for call in (lambda: store.read(BACKTEST_METRICS), lambda: store.upsert(BACKTEST_METRICS, metrics())):
        with pytest.raises(StoreError, match=r"market.duckdb: not a sound DuckDB file.*move the file away"):
            call()
    assert store.path.read_bytes() == content


def test_a_truncated_file_is_named(store: DuckDBStore) -> None:
    rows = pl.DataFrame(
        {"model": [f"m{i}" for i in range(200_000)], "metric": "x", "value": range(200_000)}
    ).with_columns(version=pl.lit(1, pl.Int32))
    store.upsert(BACKTEST_METRICS, rows.cast({"value": pl.Float64}))
    os.truncate(store.path, store.path.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"market.duckdb: not a sound DuckDB file.*restore a copy"):
        store.read(BACKTEST_METRICS)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file.market.duckdb: cannot be written: "):
        DuckDBStore(tmp_path / "file" / "market.duckdb").upsert(BACKTEST_METRICS, metrics())


def test_rows_committed_before_a_kill_are_read_though_the_file_was_never_closed(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    script = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
    script += 'c.execute("UPDATE backtest_metrics SET value = 2"); os.kill(os.getpid(), 9)'
    subprocess.run([sys.executable, "-c", script, str(store.path)], check=False)
    assert store.path.with_name("market.duckdb.wal").exists()
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [2.0]


def test_a_file_of_an_earlier_version_gains_the_tables_and_columns_declared_since(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("ALTER TABLE backtest_metrics DROP COLUMN value")
        connection.execute("DROP TABLE features")
    assert store.read(BACKTEST_METRICS)["value"].to_list() == [None]
    assert store.read(FEATURES).is_empty()
    assert store.query("SELECT count(*) FROM features").item() == 0
    store.upsert(BACKTEST_METRICS, metrics(3.0))
    bar = datetime(2025, 1, 1, tzinfo=UTC)
    store.upsert(FEATURES, pl.DataFrame({"market": ["m"], "timeframe": ["1h"], "ts": [bar], "known_at": [bar]}))
    assert store.read(BACKTEST_METRICS).equals(metrics(3.0))


def test_a_stored_column_of_another_type_is_not_written_over(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("ALTER TABLE backtest_metrics ALTER value TYPE VARCHAR")
    with pytest.raises(StoreError, match="backtest_metrics: value is VARCHAR, not DOUBLE"):
        store.upsert(BACKTEST_METRICS, metrics())


def test_a_failed_write_changes_nothing(store: DuckDBStore) -> None:
    store.upsert(BACKTEST_METRICS, metrics())

    def fail_halfway() -> None:
        with opened(store.path, write=True, timeout_s=60) as connection:
            connection.begin()
            connection.execute("DELETE FROM backtest_metrics")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert store.read(BACKTEST_METRICS).equals(metrics())


def test_the_gate_lets_readers_in_together_and_a_writer_alone() -> None:
    lock = ReadWriteLock()
    with lock.read(1) as first, lock.read(1) as second:
        assert first
        assert second
        with lock.write(0.05) as writer:
            assert not writer
    with lock.write(1) as writer:
        assert writer
        with lock.read(0.05) as reader, lock.write(0.05) as other:
            assert not reader
            assert not other
    with lock.read(0.05) as reader:
        assert reader


def test_a_waiting_writer_goes_before_new_readers() -> None:
    lock = ReadWriteLock()
    order: list[str] = []

    def write() -> None:
        with lock.write(300):
            order.append("writer")

    with lock.read(1):
        writer = threading.Thread(target=write)
        writer.start()
        is_let_in = True
        while is_let_in:  # until the writer waits
            with lock.read(0.01) as is_let_in:
                assert not order
    with lock.read(300):
        order.append("reader")
    writer.join()
    assert order == ["writer", "reader"]


def test_tables_replaced_together_all_change_or_none_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def metrics(model: str, value: float) -> tuple[Table, pl.DataFrame]:
        return BACKTEST_METRICS, pl.DataFrame(
            {"model": [model], "version": pl.Series([1], dtype=pl.Int32), "metric": ["sharpe"], "value": [value]}
        )

    def curve(model: str, value: float) -> tuple[Table, pl.DataFrame]:
        day = pl.Series([datetime(2025, 1, 1, tzinfo=UTC)], dtype=TS)
        return EQUITY, pl.DataFrame(
            {
                "model": [model],
                "version": pl.Series([1], dtype=pl.Int32),
                "ts": day,
                "equity": [value],
                "drawdown": [0.0],
            }
        )

    def values() -> tuple[list[float], list[float]]:
        return store.read(BACKTEST_METRICS)["value"].to_list(), store.read(EQUITY)["equity"].to_list()

    store = DuckDBStore(tmp_path / "market.duckdb")
    store.replace_together([metrics("a", 1.0), curve("a", 1.0)], where={"model": "a"})
    store.replace_together([metrics("b", 5.0), curve("b", 5.0)], where={"model": "b"})
    assert values() == ([1.0, 5.0], [1.0, 5.0])

    write = duckdb_store._write

    def write_the_first_only(connection: Any, table: Table, *rest: Any, **named: Any) -> None:
        if table is EQUITY:
            raise OSError("the disk is full")
        write(connection, table, *rest, **named)

    monkeypatch.setattr(duckdb_store, "_write", write_the_first_only)
    with pytest.raises(StoreError, match="disk is full"):
        store.replace_together([metrics("a", 2.0), curve("a", 2.0)], where={"model": "a"})
    monkeypatch.undo()
    assert values() == ([1.0, 5.0], [1.0, 5.0])
    with pytest.raises(InvalidFrame):
        store.replace_together([metrics("a", 3.0), curve("b", 3.0)], where={"model": "a"})
    assert values() == ([1.0, 5.0], [1.0, 5.0])


def test_the_engine_s_hint_is_kept(store: DuckDBStore) -> None:
    with pytest.raises(StoreError, match=r'Candidate bindings: "close"'):
        store.query("SELECT clos FROM candles")
    with pytest.raises(StoreError, match=r"Did you mean"):
        store.query("SELECT * FROM candels")


def test_ctrl_c_during_a_statement_is_an_interrupt(tmp_path: Path) -> None:
    """The statement takes seconds: where a worker of the engine's has taken it, the interrupt waits for its end."""
    program = f"""
import os, signal, threading
from trading_assets.store import open_store
signal.signal(signal.SIGINT, signal.default_int_handler)
told = threading.Event()

def press():  # again and again, as people do: the first may come before the statement runs
    while not told.wait(0.1):
        os.kill(os.getpid(), signal.SIGINT)

store = open_store("duckdb:///{tmp_path / "market.duckdb"}")
threading.Thread(target=press, daemon=True).start()
try:
    store.query("SELECT sum(hash(range)) FROM range(2000000000)")
except BaseException as error:
    told.set()
    print(type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "KeyboardInterrupt", done.stdout + done.stderr
