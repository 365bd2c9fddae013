"""Whatever goes wrong, in whatever order, and wherever the process dies: the store ends with what the exchange has."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.exchange import LocalExchange
from tests.faults.world import (
    MINUTE,
    PAGE,
    REFUSED,
    REREAD,
    START,
    TOO_LATE_S,
    Death,
    DyingStore,
    World,
    source_log,
    walk,
)
from tests.stores import fresh_store
from trading_assets.core.errors import SourceError
from trading_assets.sources.ingest import ingestion
from trading_assets.store.tables import CANDLE_REVISIONS
from trading_live.replay.faults import Fault

MINUTES = 240
TROUBLES = [*sorted(REFUSED - {"timeout"}), "timeout", "empty", "duplicated", "reordered", "revised", "clock_ahead"]

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
"""Without shrinking, which takes many minutes here: the script of a failing example is short enough to read."""

faults = st.builds(
    Fault,
    fault=st.sampled_from(TROUBLES),
    after=st.integers(0, 12),
    times=st.integers(1, 4),
    retry_after_s=st.none() | st.just(7.0),
    seconds=st.just(TOO_LATE_S),
    rows=st.integers(1, REREAD),
) | st.builds(
    lambda minute, length, after, times: Fault(
        fault="missing", start=START + minute * MINUTE, end=START + (minute + length) * MINUTE, after=after, times=times
    ),
    minute=st.integers(0, MINUTES),
    length=st.integers(1, 120),
    after=st.integers(0, 8),
    times=st.integers(1, 4),
)
deaths = st.tuples(st.sampled_from(["page", "before write", "after write"]), st.integers(0, 6))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is a write of its own."""
    monkeypatch.setattr(ingestion, "BATCH_ROWS", 1)


def world_of(exchange: LocalExchange, folder: Path, truth: pl.DataFrame, minutes: int) -> World:
    exchange.faults.clear()
    exchange.faults.asked.clear()
    world = World(exchange, fresh_store(folder), truth, START + minutes * MINUTE)
    world.show()
    return world


@contextlib.contextmanager
def world_at_hand(exchange: LocalExchange, folder: Path, truth: pl.DataFrame, minutes: int) -> Iterator[World]:
    """The same, whose store is opened once: no other process needs it."""
    world = world_of(exchange, folder, truth, minutes)
    with world.store.kept_open():
        yield world


def run_until_death(world: World, death: tuple[str, int] | None) -> bool:
    """One session; it may die, or give up. Whether it died."""
    pages = 0

    def count(*_: object) -> None:
        nonlocal pages
        pages += 1
        if death is not None and death[0] == "page" and pages > death[1]:
            raise Death

    store = world.store
    if death is not None and death[0] != "page":
        store = DyingStore(store, death[1], after=death[0] == "after write")  # type: ignore[assignment]
    try:
        world.session(count, store)
    except Death:
        return True
    return False


@examples(9, phases=PHASES, suppress=HealthCheck.function_scoped_fixture)
@given(
    script=st.lists(faults, min_size=1, max_size=6),
    sessions=st.lists(st.none() | deaths, min_size=1, max_size=3),
    listed=st.sampled_from([0, 0, 90]),
    hole=st.none() | st.tuples(st.integers(0, MINUTES - 61), st.just(60)),
)
@example(script=[Fault(fault="empty", after=1, times=4)], sessions=[None], listed=0, hole=None)
@example(script=[Fault(fault="revised", times=None)], sessions=[("after write", 1), None], listed=0, hole=(100, 60))
def test_after_faults_and_deaths_the_store_equals_the_exchange(
    exchange: LocalExchange,
    tmp_path_factory: pytest.TempPathFactory,
    script: list[Fault],
    sessions: list[tuple[str, int] | None],
    listed: int,
    hole: tuple[int, int] | None,
) -> None:
    truth = walk(MINUTES + 40).slice(listed)
    if hole is not None:
        truth = truth.filter(~pl.col("ts").is_between(START + hole[0] * MINUTE, START + sum(hole) * MINUTE, "left"))
    with world_at_hand(exchange, tmp_path_factory.mktemp("world"), truth, MINUTES) as world:
        live_through(world, script, sessions)


def live_through(world: World, script: list[Fault], sessions: list[tuple[str, int] | None]) -> None:
    exchange, truth = world.exchange, world.truth
    begin = exchange.faults.counted()
    exchange.faults.script = [fault.model_copy(update={"after": fault.after + begin}) for fault in script]
    given_up = deaths = 0
    with source_log() as lines:
        for death in sessions:
            try:
                deaths += run_until_death(world, death)
            except SourceError as error:
                given_up += "gave up after" in str(error)
        refused = sum(bool(REFUSED & set(asked.faults)) for asked in exchange.faults.asked)
        unanswered = refused - world.retries - given_up
        assert 0 <= unanswered <= deaths, "every refusal is tried again or given up, unless death came first"
        assert sum("failed, the next follows in" in line for line in lines) == world.retries, (
            "and each stands in the log"
        )
    stored = world.stored()
    assert stored["ts"].is_unique().all()
    assert set(stored["ts"]) <= set(truth["ts"]), "nothing is stored that the exchange does not have"
    exchange.faults.clear()
    world.now += 40 * MINUTE
    world.show()
    world.session()
    world.mend()
    assert world.lost() == 0
    exchange.faults.asked.clear()
    world.session()
    assert len(exchange.requests) <= 2, "what is stored or settled is not asked for again"


@examples(3, phases=PHASES, suppress=HealthCheck.function_scoped_fixture)
@given(kills=st.lists(deaths, min_size=1, max_size=3))
def test_after_a_death_nothing_is_fetched_twice_beyond_the_last_page(
    exchange: LocalExchange, tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[str, int]]
) -> None:
    with world_at_hand(exchange, tmp_path_factory.mktemp("world"), walk(MINUTES), MINUTES) as world:
        for death in [*kills, None]:
            stored = world.stored()["ts"].max() or START
            exchange.faults.asked.clear()
            run_until_death(world, death)
            asked = [int(query["startTime"]) for query in exchange.requests if query["interval"] == "1m"]
            earliest = stored - max(PAGE, REREAD) * MINUTE  # type: ignore[operator]
            assert all(since >= earliest.timestamp() * 1000 for since in asked)
            assert len(asked) == len(set(asked)), "a page is asked for once"
        assert world.lost() == 0


def test_a_revision_is_stored_with_its_old_and_new_values(exchange: LocalExchange, tmp_path: Path) -> None:
    world = world_of(exchange, tmp_path, walk(200), 150)
    exchange.faults.next(*["revised"] * 9, rows=3)
    world.session()
    assert world.lost() == 3
    exchange.faults.clear()
    world.now += 30 * MINUTE
    world.show()
    world.session()
    assert world.lost() == 0
    revisions = world.store.read(CANDLE_REVISIONS)
    assert revisions["ts"].to_list() == [START + minute * MINUTE for minute in (147, 148, 149)]
    assert (revisions["old_volume"] != revisions["new_volume"]).all()


@pytest.mark.parametrize("kills", [(2, 5)])
def test_a_process_killed_by_the_system_leaves_a_store_that_the_next_one_completes(
    exchange: LocalExchange, tmp_path: Path, kills: tuple[int, ...]
) -> None:
    world = world_of(exchange, tmp_path, walk(8 * PAGE), 8 * PAGE)
    exchange.faults.next(None, "429", "html", "drop")
    command = [sys.executable, "-m", "tests.faults.worker", exchange.url, str(tmp_path / "market.duckdb")]
    for requests in kills:
        exchange.faults.asked.clear()
        exchange.fall_silent(after=requests + 1)
        process = subprocess.Popen([*command, world.now.isoformat()], env=os.environ | {"POLARS_MAX_THREADS": "1"})
        deadline = time.monotonic() + 300
        while len(exchange.requests) < requests and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        exchange.faults.script.pop()
    assert 0 < world.stored().height < 8 * PAGE, "the kills came in the middle"
    exchange.faults.clear()
    exchange.faults.asked.clear()
    last = world.stored()["ts"].max()
    world.session()
    assert world.lost() == 0
    first_asked = int(exchange.requests[0]["startTime"]) / 1000
    assert first_asked >= (last - timedelta(minutes=PAGE)).timestamp()  # type: ignore[operator]
