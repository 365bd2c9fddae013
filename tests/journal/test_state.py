"""Checkpoints: what a start and a status read of a journal of any age."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.journal.lives import MARKET, T0, Event, plan, trade
from trading_assets.journal import TABLES, Journal, load_journal, newest_events, read_state, writer
from trading_assets.journal.state import from_json, to_json
from trading_assets.settings import load_settings
from trading_assets.store import Store
from trading_assets.store.tables import SIGNALS
from trading_live.operations.status import read_status
from trading_live.recovery.from_journal import recover

OTHER = "sample:NOISE/USDT:USDT"
SHAPES = st.sampled_from(
    [([3.0], [3.0]), ([1.0, 2.0], [3.0]), ([0.1, 0.2, 2.7], [1.5, 1.5]), ([3.0], [0.5]), ([1.0], [])]
)

BEFORE = """
CREATE TABLE journal_node (node TEXT NOT NULL);
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (session, event_id)
);
"""
"""The tables of the version before checkpoints."""


@contextmanager
def checkpoints_every(events: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "CHECKPOINT_EVENTS", events)
        yield


def forget_checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM journal_checkpoint")


def checkpoint(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT coalesce(max(seq), 0) FROM journal_checkpoint").fetchone()[0])


@given(
    st.lists(st.tuples(SHAPES, st.sampled_from([MARKET, OTHER])), min_size=1, max_size=4),
    st.integers(1, 40),
    st.integers(0, 60),
    st.integers(0, 60),
)
@examples(25)
def test_a_checkpoint_and_the_events_after_it_say_what_all_events_say(
    tmp_path_factory: pytest.TempPathFactory,
    trades: list[tuple[tuple[list[float], list[float]], str]],
    every: int,
    session_at: int,
    kill_at: int,
) -> None:
    path = tmp_path_factory.mktemp("state") / "journal.sqlite"
    parts = [part for number, (shape, market) in enumerate(trades) for part in trade(number, *shape, market)]
    with checkpoints_every(every), closing(Journal(path, "node")) as journal:
        for step, part in enumerate(parts):
            if step == session_at:
                journal.new_session()
            if step == kill_at:
                journal.record("node", {"ts": T0, "event": "kill", "detail": ""})
            journal.record_all(part)
    with_checkpoint, recovered = to_json(read_state(path)), recover(path)
    forget_checkpoint(path)
    assert with_checkpoint == to_json(read_state(path))
    assert recovered == recover(path)
    assert to_json(from_json(with_checkpoint)) == with_checkpoint


@pytest.mark.parametrize("ended", ["expired", "canceled", "rejected", "denied"])
def test_an_order_that_has_ended_stays_so_whatever_is_told_of_it_late(tmp_path: Path, ended: str) -> None:
    path = tmp_path / "journal.sqlite"
    row = {"ts": T0, "market": MARKET, "order_id": "t1", "signal_id": "s1", "purpose": "take_profit", "quantity": 3.0}

    def told(status: str) -> set[str]:
        journal.record("orders", row | {"status": status, "side": "sell"})
        return set(read_state(path).orders)

    with closing(Journal(path, "node")) as journal:
        assert [told(one) for one in ("initialized", "accepted")] == [{"t1"}, {"t1"}]
        assert [told(one) for one in (ended, "accepted", "pending_cancel")] == [set(), set(), set()]


def signals(first: int, count: int) -> list[Event]:
    return [
        ("signals", {"ts": T0, "market": MARKET, "signal_id": f"s{n}", "bar_ts": T0, "action": "hold", "reason": "r"})
        for n in range(first, first + count)
    ]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], int]:
    """Counts the steps of SQLite's machine that a call takes: rows read by any way show in it."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    class Counted(sqlite3.Connection):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            self.set_progress_handler(step, 10)

    def count(call: Callable[[], object]) -> int:
        nonlocal steps
        steps = 0
        connect = sqlite3.connect
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **more, factory=Counted))
            call()
        return steps

    return count


def test_start_and_status_read_no_more_of_a_journal_twenty_times_as_long(
    tmp_path: Path, work: Callable[[Callable[[], object]], int]
) -> None:
    project = load_settings(data_dir=tmp_path / "data")
    path = project.live_dir / "journal.sqlite"
    counts = []
    with closing(Journal(path, "node")) as journal:
        for part in trade(1, [3.0], []):
            journal.record_all(part)
        written = 0
        for wanted in (2_000, 40_000):
            while written < wanted:
                journal.record_all(signals(written, 500))
                written += 500
            counts.append((work(lambda: recover(path)), work(lambda: read_status(project))))
    assert len(read_status(project).positions) == 1
    (start, status), (later_start, later_status) = counts
    assert later_start < 1.5 * start
    assert later_status < 1.5 * status


def test_a_journal_of_the_version_before_is_opened_and_goes_on(tmp_path: Path, store: Store) -> None:
    path, template = tmp_path / "journal.sqlite", tmp_path / "template.sqlite"
    with checkpoints_every(10), closing(Journal(template, "node")) as journal:
        journal.record_all(signals(0, 20))
        for part in trade(1, [3.0], []):
            journal.record_all(part)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA journal_mode=WAL; {BEFORE} ATTACH '{template}' AS template;")
        for table in ("journal_node", "journal"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM template.{table}")
    seen = recover(path), newest_events(path, "signals", 3)["signal_id"].to_list()
    assert seen == (recover(template), ["s17", "s18", "s19"])
    assert load_journal(store, path)["signals"] == 20
    with checkpoints_every(10), closing(Journal(path, "another")) as journal:
        assert checkpoint(path) > 0, "summed up once, when it is opened"
        assert recover(path) == seen[0]
        journal.record_all(signals(20, 5))
    assert load_journal(store, path) == dict.fromkeys((*TABLES, "shadow_signals"), 0) | {"signals": 5}
    assert store.read(SIGNALS)["node"].n_unique() == 1


def test_a_damaged_checkpoint_is_not_needed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with checkpoints_every(1), closing(Journal(path, "node")) as journal:
        for part in trade(1, [3.0], []):
            journal.record_all(part)
    before = recover(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE journal_checkpoint SET state = substr(state, 1, 50)")
    assert recover(path) == before


def test_a_load_reads_only_what_each_table_lacks(
    tmp_path: Path, store: Store, work: Callable[[Callable[[], object]], int]
) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, "node")) as journal:
        journal.record_all(signals(0, 5_000))
        assert load_journal(store, path, batch=700)["signals"] == 5_000
        journal.record_all(signals(5_000, 1))
        assert 0 < work(lambda: load_journal(store, path)) < 100, "no fill is stored, and all signals but one are"
    assert store.read(SIGNALS)["signal_id"].to_list() == [f"s{n}" for n in range(5_001)]


def test_a_kill_that_closed_nothing_is_remembered_by_the_trade_that_it_meant(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, "node")) as journal:
        for part in trade(1, [3.0], []):
            journal.record_all(part)
        journal.record("node", {"ts": T0, "event": "kill", "detail": "cut short"})
        (remembered,) = recover(path).plans
        assert (remembered.stage, remembered.exit_reason, remembered.exit_order_id) == ("exiting", "kill", "")
        journal.record("node", {"ts": T0, "event": "kill withdrawn", "detail": ""})
        assert recover(path).plans[0].stage == "open"
        journal.record("node", {"ts": T0, "event": "kill", "detail": "again"})
        later = plan(2, stage="open", quantity=1.0)
        journal.record("plans", {"ts": T0, "market": MARKET, "signal_id": "s2", "plan": later.to_json()})
        assert recover(path).plans == (later,), "a later trade is none of its business"


def test_what_was_written_is_summed_up_when_nothing_has_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with checkpoints_every(10), closing(Journal(path, "node")) as journal:
        journal.record_all(signals(0, 25))
        assert checkpoint(path) == 0  # a decision would have waited for it
        journal.stay()
        assert checkpoint(path) == 25
        journal.record_all(signals(25, 9))
        journal.stay()
        assert checkpoint(path) == 25
        for number in range(34, 65):
            journal.record_all(signals(number, 1))
        assert checkpoint(path) == 65  # a node that always writes has one too


def test_the_log_beside_the_file_begins_anew_after_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with checkpoints_every(10), closing(Journal(path, "node")) as journal:
        sizes = []
        for number in range(12):
            journal.record_all(signals(number * 100, 100))
            journal.stay()
            sizes.append(path.with_name(f"{path.name}-wal").stat().st_size)
    assert sizes[-1] == max(sizes) < 3 * sizes[0]
