"""The journal: durable on return, each event once, typed on the way back, into the store exactly once."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import NodeError
from trading_assets.journal import TABLES, Journal, cursor, load_journal, newest_seq, read_session, read_since
from trading_assets.store import Store
from trading_assets.store.tables import SIGNALS

T0 = datetime(2025, 5, 1, tzinfo=UTC)
MARKET = "sample:SYNA/USDT:USDT"
Begin = Callable[[Path], Journal]

times = st.integers(0, 10**15).map(lambda us: T0 + timedelta(microseconds=us))
floats = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    kind = draw(st.sampled_from(sorted(TABLES)))
    values = {
        pl.String: st.text(max_size=8),
        pl.Int8: st.sampled_from([1, -1]),
        pl.Int32: st.integers(-(2**31), 2**31 - 1),
        pl.Float64: floats,
    }
    event: dict[str, Any] = {}
    for name, dtype in TABLES[kind].columns.items():
        if name in ("node", "seq"):
            continue
        strategy = times if isinstance(dtype, pl.Datetime) else values[dtype]  # type: ignore[index]
        event[name] = draw(strategy if name == "ts" else st.one_of(st.none(), strategy))
    return kind, event


def rows(**loaded: int) -> dict[str, int]:
    """What a load says: rows by table."""
    return dict.fromkeys((*TABLES, "shadow_signals"), 0) | loaded


def signal_event(number: int) -> dict[str, Any]:
    return {
        "ts": T0 + timedelta(minutes=15 * number),
        "market": MARKET,
        "signal_id": f"s{number}",
        "bar_ts": T0 + timedelta(minutes=15 * (number - 1)),
        "probability": 0.5 + number / 1e6,
        "threshold": 0.55,
        "action": "hold",
        "model": "syna",
        "model_version": 3,
    }


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins a journal, or goes on with it; closed when the test ends."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(closing(Journal(path, "node")))


@pytest.mark.slow
@given(st.lists(events(), max_size=12))
@examples(30, suppress=HealthCheck.function_scoped_fixture)
def test_what_comes_back_is_what_was_recorded_with_its_types(
    tmp_path_factory: pytest.TempPathFactory, recorded: list[tuple[str, dict[str, Any]]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    journal = Journal(path, "node")
    seen: dict[int, tuple[str, dict[str, Any]]] = {}
    for kind, event in recorded:
        seen[journal.record(kind, event)] = (kind, event)
    journal.close()
    frames = read_since(path, 0)
    for name, table in TABLES.items():
        assert dict(frames[name].schema) == table.columns
    back = {
        row["seq"]: (name, {key: row[key] for key in row if key not in ("node", "seq")})
        for name in TABLES
        for row in frames[name].iter_rows(named=True)
    }
    assert back == seen
    assert newest_seq(path) == max(seen, default=0)


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(0, 20))
@examples(25)
def test_an_event_recorded_again_after_a_restart_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], restart_at: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    journal = Journal(path, "node")
    for step, number in enumerate(numbers):
        if step == restart_at:
            journal.close()
            journal = Journal(path, "another name")
        journal.record("signals", signal_event(number))
    journal.close()
    frame = read_since(path, 0)["signals"]
    assert frame["signal_id"].to_list() == [f"s{n}" for n in dict.fromkeys(numbers)]
    assert frame["node"].n_unique() <= 1


def test_an_own_event_id_decides_what_is_the_same_event(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path / "j.sqlite")
    first = journal.record("signals", {**signal_event(1), "event_id": "a"})
    again = journal.record("signals", {**signal_event(2), "event_id": "a"})
    other = journal.record("signals", {**signal_event(1), "event_id": "b"})
    assert first == again < other


def test_events_written_together_are_all_there_or_none(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path / "j.sqlite")
    with pytest.raises(NodeError):
        journal.record_all([("signals", signal_event(1)), ("signals", {"colour": "red"})])
    journal._connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON journal WHEN new.kind = 'fills' "
        "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(NodeError, match="disk full"):
        journal.record_all([("signals", signal_event(1)), ("fills", {"ts": T0, "market": MARKET})])
    assert newest_seq(tmp_path / "j.sqlite") == 0
    assert journal.record_all([("signals", signal_event(1)), ("signals", signal_event(2))]) == [1, 2]


def test_a_new_session_knows_nothing_of_the_former_one_but_shares_its_numbering(
    begin: Begin, tmp_path: Path, store: Store
) -> None:
    path = tmp_path / "j.sqlite"
    journal = begin(path)
    journal.record("signals", signal_event(1))
    assert journal.new_session() == 2
    assert journal.record("signals", signal_event(1)) == 3
    journal.close()
    assert begin(path).record("signals", signal_event(1)) == 3
    assert read_session(path)["signals"]["seq"].to_list() == [3]
    assert load_journal(store, path)["signals"] == 2


def test_a_journal_is_loaded_into_the_store_exactly_once(begin: Begin, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "journal.sqlite"
    assert load_journal(store, path) == rows()
    journal = begin(path)
    for number in range(5):
        journal.record("signals", signal_event(number))
    journal.record(
        "fills", {"ts": T0, "market": MARKET, "order_id": "o", "trade_id": "t", "quantity": 1.0, "price": 9.5}
    )
    assert load_journal(store, path) == rows(signals=5, fills=1)
    assert load_journal(store, path) == rows()
    journal.record("signals", signal_event(9))
    assert load_journal(store, path)["signals"] == 1
    assert store.read(SIGNALS).height == 6


def test_a_load_killed_between_two_tables_is_finished_by_the_next_one(
    begin: Begin, tmp_path: Path, store: Store
) -> None:
    path = tmp_path / "journal.sqlite"
    journal = begin(path)
    journal.record("signals", signal_event(1))
    journal.record("positions", {"ts": T0, "market": MARKET, "quantity": 1.0, "event": "opened"})
    store.upsert(SIGNALS, read_since(path, 0)["signals"])
    assert load_journal(store, path) == rows(positions=1)


def test_a_deleted_journal_and_its_successor_never_share_a_key(begin: Begin, tmp_path: Path, store: Store) -> None:
    for folder in ("a", "b"):
        journal = begin(tmp_path / folder / "journal.sqlite")
        journal.record("signals", signal_event(1))
        load_journal(store, journal.path)
    assert store.read(SIGNALS).height == 2


def test_the_cursor_changes_when_the_journal_grows_or_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    cursors = [cursor(path)]
    for _ in range(2):
        journal = Journal(path, "node")
        journal.record("signals", signal_event(1))
        cursors.append(cursor(path))
        journal.close()
        for file in tmp_path.iterdir():
            file.unlink()
    assert len(set(cursors)) == 3


def test_a_writer_killed_at_any_moment_leaves_what_it_had_acknowledged(begin: Begin, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    code = textwrap.dedent(f"""
        from pathlib import Path
        from trading_assets.journal import Journal
        journal = Journal(Path({str(path)!r}), "node")
        number = 0
        while number := number + 1:
            print(journal.record("node", {{"event": "tick", "event_id": str(number)}}), flush=True)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(40)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split()]
    stored = read_since(path, 0)["node"]["seq"].to_list()
    assert stored[: len(acknowledged)] == acknowledged
    assert len(stored) <= len(acknowledged) + 1
    assert begin(path).record("node", {"event": "again"}) == stored[-1] + 1


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look like a file" * 30, b"SQLite format 3\0" + b"\1" * 4000]
)
def test_a_file_that_is_no_journal_is_named(tmp_path: Path, recwarn: pytest.WarningsRecorder, content: bytes) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(content)
    gc.collect()  # what others left
    recwarn.clear()
    warnings.simplefilter("always", ResourceWarning)
    with pytest.raises(NodeError, match=r"journal\.sqlite.*cannot be used"):
        Journal(path, "node")
    gc.collect()
    assert not [warning for warning in recwarn if "unclosed database" in str(warning.message)], "it is closed, too"
    with pytest.raises(NodeError, match="trading journal check"):
        newest_seq(path)


def test_what_does_not_fit_a_table_is_refused_at_once(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path / "j.sqlite")
    with pytest.raises(NodeError, match="no journal kind 'trades'"):
        journal.record("trades", {})
    with pytest.raises(NodeError, match="no column colour"):
        journal.record("signals", {"colour": "red"})
    with pytest.raises(NodeError, match="no column seq"):
        journal.record("signals", {"seq": 1})
    with pytest.raises(NodeError, match="no time zone"):
        journal.record("signals", {"ts": T0.replace(tzinfo=None)})
    assert newest_seq(tmp_path / "j.sqlite") == 0
