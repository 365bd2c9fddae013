"""A DuckDB file that a run keeps open is let go for whoever waits, when idle, and at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.store.duckdb.worker import candles
from trading_assets.core.errors import StoreError
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "market.duckdb"


@pytest.fixture
def store(file: Path) -> Store:
    """An embedded store: the one engine that a process holds."""
    return open_store(f"duckdb:///{file}", lock_timeout_s=300)


def start_keeper(file: Path, name: str, blocks: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), f"duckdb:///{file}", "keep", name, str(blocks), "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_keep_the_file_open_step_aside_for_one_another(store: Store, file: Path) -> None:
    keepers = [start_keeper(file, name, 1) for name in ("x:A/B", "x:C/B")]
    seen = []
    while any(keeper.poll() is None for keeper in keepers):
        seen.append(store.read(CANDLES, columns=["ts"]).height)
        time.sleep(0.02)
    assert [keeper.returncode for keeper in keepers] == [0, 0]
    assert seen == sorted(seen), "a reader in between sees whole pages, ever more of them"
    assert len(set(seen)) > 1
    assert store.read(CANDLES).height == 2 * 1000


def test_a_file_that_was_kept_open_is_let_go_when_idle_and_at_the_end(store: Store, file: Path) -> None:
    count = [sys.executable, "-c", f"import duckdb; print(duckdb.connect({str(file)!r}).sql('FROM candles').shape[0])"]

    def rows_for_others() -> str:
        for _ in range(60):  # it is let go some time after the last call
            if (counted := subprocess.run(count, check=False, capture_output=True, text=True)).returncode == 0:
                break
        return counted.stdout.strip()

    with store.kept_open():
        with store.kept_open():
            store.upsert(CANDLES, candles("x:A/B", 0, 3, 1.0))
        store.upsert(CANDLES, candles("x:A/B", 3, 3, 1.0))
        assert rows_for_others() == "6"
        assert store.read(CANDLES).height == 6
    assert rows_for_others() == "6"
    assert not file.with_name(f"{file.name}.wal").exists()


def test_a_killed_process_that_kept_the_file_open_has_lost_nothing_that_was_written(store: Store, file: Path) -> None:
    keeper = start_keeper(file, "x:A/B", 1000)
    assert keeper.stdout is not None
    for _ in range(3):
        keeper.stdout.readline()
    keeper.send_signal(signal.SIGKILL)
    keeper.wait()
    rows = store.read(CANDLES).height
    assert rows >= 2000
    assert rows % 100 == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda store: store.query("SELECT nonsense FROM candles"),
        lambda store: store.query("INSERT INTO candles BY NAME SELECT 'x:A/B' AS market"),
    ],
)
def test_a_failed_statement_leaves_a_usable_store(store: Store, spoil: Callable[[Store], object]) -> None:
    with store.kept_open():
        store.upsert(CANDLES, candles("x:A/B", 0, 3, 1.0))
        with pytest.raises(StoreError):
            spoil(store)
        store.upsert(CANDLES, candles("x:A/B", 3, 3, 1.0))
        assert store.read(CANDLES).height == 6


def test_no_thread_opens_the_file_while_another_lets_go_of_it(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The system drops the process's lock with any handle that is closed: one that came meanwhile would be unlocked.
    store.upsert(CANDLES, candles("x:A/B", 0, 10, 1.0))
    closing, real, overlaps = threading.Event(), duckdb.connect, []

    class Slow:
        def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def close(self) -> None:
            closing.set()
            time.sleep(0.005)
            self._connection.close()
            closing.clear()

    def connect(*given: Any, **named: Any) -> Slow:
        overlaps.append(closing.is_set())
        return Slow(real(*given, **named))

    monkeypatch.setattr(duckdb, "connect", connect)

    def read(_: int) -> int:
        other = open_store(f"duckdb:///{file}", lock_timeout_s=300)
        return sum(len(other.query("SELECT * FROM candles")) for _ in range(8))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, range(4))) == [80] * 4
    assert len(overlaps) == 32
    assert not any(overlaps)
