"""Several processes and threads on one store, and processes that die in the middle of a write."""

from __future__ import annotations

import random
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES

WORKER = Path(__file__).with_name("worker.py")
worker = SimpleNamespace(**runpy.run_path(str(WORKER), run_name="worker"))
Start = Callable[[str, str, int], "subprocess.Popen[str]"]


@pytest.fixture
def rows(url: str) -> int:
    """How many rows a worker writes at once: enough for a kill to hit a write."""
    return 60_000 if url.startswith("duckdb") else 2_000 if "trading-timescale" in url else 15_000


@pytest.fixture
def start_worker(url: str, rows: int) -> Iterator[Start]:
    """Start a process that writes; it is killed at the latest when the test ends."""
    with ExitStack() as stack:

        def start(mode: str, name: str, count: int) -> subprocess.Popen[str]:
            command = [sys.executable, str(WORKER), url, mode, name, str(count), str(rows)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start


def test_processes_and_threads_that_write_at_once_lose_nothing(url: str, store: Store, start_worker: Start) -> None:
    processes = [start_worker("append", f"x:P{i}/B", 8) for i in range(2)]

    def append(name: str) -> int:
        other = open_store(url, lock_timeout_s=300)
        for step in range(4):
            other.upsert(CANDLES, worker.candles(name, max(step * 100 - 10, 0), 110, 1.0))
            other.read(CANDLES, where={"market": name})
        return len(other.read(CANDLES, where={"market": name}))

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(append, ["x:T0/B", "x:T1/B", "x:T2/B"])) == [400] * 3
    assert [process.wait(300) for process in processes] == [0, 0]
    rows = dict(store.query("SELECT market, count(*) FROM candles GROUP BY market").rows())
    # the pages of a worker begin at 0, 90, 190, ... and hold 110 rows each
    assert rows == {"x:P0/B": 800, "x:P1/B": 800, "x:T0/B": 400, "x:T1/B": 400, "x:T2/B": 400}


@pytest.mark.parametrize("mode", ["rewrite", "replace"])
def test_a_process_killed_in_the_middle_of_a_write_leaves_the_old_rows_or_the_new(
    store: Store, start_worker: Start, rows: int, mode: str
) -> None:
    rng = random.Random(7)
    for _ in range(2):
        process = start_worker(mode, "x:A/B", 1000)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(rng.randint(2, 4))]
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        last = int(([*said, *process.stdout.readlines()])[-1])
        stored = store.read(CANDLES)
        assert len(stored) == rows
        assert stored["close"].n_unique() == 1
        assert stored["close"][0] in (last, last + 1)
        if mode == "replace":
            assert stored["ts"][0] == stored["ts"].min()
            assert (stored["ts"][0] - worker.START).total_seconds() == 60 * stored["close"][0]


def test_a_dashboard_that_reads_meanwhile_sees_whole_writes_only(
    store: Store, start_worker: Start, rows: int, url: str
) -> None:
    writer = start_worker("rewrite", "x:A/B", 6)
    dashboard = open_store(url, lock_timeout_s=300)
    seen = [0.0]
    while writer.poll() is None:
        stored = dashboard.read(CANDLES, columns=["ts", "close"])
        if len(stored):
            assert len(stored) == rows
            assert stored["close"].n_unique() == 1
            seen.append(stored["close"][0])
    assert writer.returncode == 0
    assert seen == sorted(seen)
    assert store.read(CANDLES)["close"].unique().to_list() == [5.0]
