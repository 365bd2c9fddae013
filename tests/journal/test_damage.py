"""What befalls a journal's file: damage, deletion, full disks, copies; no open position is forgotten."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.journal.lives import MARKET, T0, trade, unprivileged
from tests.journal.test_state import checkpoints_every
from trading_assets.core.errors import NodeError
from trading_assets.journal import (
    BufferedJournal,
    Journal,
    check_journal,
    export_journal,
    load_journal,
    newest_seq,
    read_since,
    read_state,
)
from trading_assets.journal.file import make
from trading_assets.store import Store
from trading_cli.main import app
from trading_live.recovery.from_journal import recover

HELD = 3.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """The running node's journal; it holds a position."""
    with closing(Journal(tmp_path / "live" / "journal.sqlite", "node")) as begun:
        for part in trade(1, [HELD], []):
            begun.record_all(part)
        yield begun


def held(path: Path) -> list[float]:
    return [holding.quantity for holding in recover(path).holdings]


def alter(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


# -- the disk ---------------------------------------------------------------------------------------------------------


@contextmanager
def full_disk(journal: Journal) -> Iterator[None]:
    """SQLite may not add a page, as on a full disk."""
    connection = journal._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    yield
    connection.execute("PRAGMA max_page_count=1000000")


def test_a_full_disk_is_named_and_the_journal_goes_on_when_there_is_room(journal: Journal) -> None:
    before = newest_seq(journal.path)
    event = {"event": "long", "detail": "x" * 20_000}
    with full_disk(journal):
        for _ in range(2):
            with pytest.raises(NodeError, match=r"disk is full; free space"):
                journal.record("node", event)
    assert newest_seq(journal.path) == before
    assert journal.record("node", event) == before + 1


def test_a_commit_that_fails_is_rolled_back(journal: Journal) -> None:
    """Else every later event would be refused as a transaction within a transaction."""
    connection = journal._connection
    connection.execute("CREATE TABLE parent (k INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE child (k REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    connection.execute("PRAGMA foreign_keys=1")
    connection.execute("CREATE TRIGGER t AFTER INSERT ON journal BEGIN INSERT INTO child VALUES (7); END")
    with pytest.raises(NodeError, match="FOREIGN KEY"):
        journal.record("node", {"event": "a"})
    connection.execute("DROP TRIGGER t")
    assert journal.record("node", {"event": "b"}) == newest_seq(journal.path)


@pytest.mark.parametrize("ended", [True, False])
def test_a_folder_that_cannot_be_written_is_named_and_can_be_read(ended: bool) -> None:
    with tempfile.TemporaryDirectory() as parent, unprivileged(Path(parent)) as folder:
        begun = Journal(folder / "journal.sqlite", "node")
        for part in trade(1, [HELD], []):
            begun.record_all(part)
        if ended:
            begun.close()
        path = folder.parent / "copy" / begun.path.name
        shutil.copytree(folder, path.parent, ignore=shutil.ignore_patterns("*-shm"))
        begun.close()
        path.parent.chmod(0o555)
        assert held(path) == [HELD]
        with pytest.raises(NodeError, match=r"copy.*cannot be used.*make the file and its folder writable"):
            Journal(path, "node").record("node", {"event": "a"})
        with pytest.raises(NodeError, match="Permission denied"):
            Journal(path.parent / "below" / "journal.sqlite", "node")


# -- the file's place -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deleted", ["", "-wal", "-shm", "all"])
def test_a_file_deleted_while_the_node_runs_is_written_again(
    journal: Journal, deleted: str, caplog: pytest.LogCaptureFixture
) -> None:
    for file in journal.path.parent.iterdir():
        if deleted == "all" or file.name == journal.path.name + deleted:
            file.unlink()
    with caplog.at_level(logging.ERROR):
        journal.record("node", {"ts": T0, "event": "after"})
    assert "deleted while the node ran" in caplog.text
    journal.record("node", {"ts": T0, "event": "later"})
    journal.close()
    assert read_since(journal.path, 0)["node"]["event"].to_list() == ["journal restored", "after", "later"]
    assert held(journal.path) == [HELD]


def test_a_deletion_is_noticed_before_the_next_event(journal: Journal) -> None:
    now = [0.0]
    buffered = BufferedJournal(journal, clock=lambda: now[0])
    journal.path.unlink()
    assert buffered.flush(), "as each heartbeat does"
    assert held(journal.path) == [HELD]
    journal.path.unlink()
    journal.path.mkdir()
    assert buffered.flush()
    assert "another file lies in the journal's place" in buffered.complaint
    journal.path.rmdir()
    now[0] += 2
    assert buffered.flush()
    assert buffered.complaint == ""
    assert held(journal.path) == [HELD]


def test_another_file_in_the_journals_place_is_not_overwritten(journal: Journal) -> None:
    aside = journal.path.rename(journal.path.with_name("aside"))
    journal.path.write_text("a stranger's")
    for _ in range(2):
        with pytest.raises(NodeError, match="another file lies in the journal's place"):
            journal.record("node", {"event": "a"})
    assert journal.path.read_text() == "a stranger's"
    journal.path.unlink()
    journal.record("node", {"event": "a"})
    assert held(journal.path) == [HELD]
    assert aside.exists()


def test_a_copy_without_the_file_beside_it_is_not_taken_for_an_empty_journal(journal: Journal, tmp_path: Path) -> None:
    copy = Path(shutil.copy(journal.path, tmp_path / "copy.sqlite"))
    with pytest.raises(NodeError, match=r"no journal in it.*-wal.*trading journal export"):
        recover(copy)
    with pytest.raises(NodeError, match="no journal in it"):
        Journal(copy, "node")


@pytest.mark.parametrize("renamed", [0, 1])
def test_a_journal_is_there_whole_or_not_at_all_whenever_its_maker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    """What SQLite writes to make it, it writes under another name: only between the two new names can a kill matter."""
    path, seen = tmp_path / "journal.sqlite", list[str]()
    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if len(seen) == renamed:
            raise KeyboardInterrupt
        seen.append(target.name)
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            Journal(path, "node")
    assert not path.exists()
    assert newest_seq(path) == 0
    with closing(Journal(path, "node")) as made:
        assert made.record("node", {"event": "a"}) == 1
    assert {one.name for one in tmp_path.iterdir()} == {path.name, f".{path.name}.lock"}


def test_a_journal_that_was_just_made_is_read_by_others_and_its_copy_alone_is_none(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    make(path, "node")
    with pytest.raises(NodeError, match="no journal in it"):
        newest_seq(Path(shutil.copy(path, tmp_path / "copy.sqlite")))
    assert newest_seq(path) == 0


# -- damage -----------------------------------------------------------------------------------------------------------

DAMAGED = [
    '\'{"ts": "2025-05\'',
    "'[]'",
    '\'{"quantity": "many"}\'',
    "json_set(payload, '$.ts', 'noon')",
    "json_remove(payload, '$.market')",
]


@pytest.mark.parametrize("payload", DAMAGED)
def test_a_damaged_event_is_named_and_the_rest_is_saved(
    journal: Journal, payload: str, tmp_path: Path, store: Store
) -> None:
    number = read_since(journal.path, 0)["fills"]["seq"][0]
    alter(journal.path, f"UPDATE journal SET payload = {payload} WHERE seq = {number}")
    with pytest.raises(NodeError, match=rf"event {number} of the journal is damaged.*trading journal check"):
        recover(journal.path)
    if payload != DAMAGED[-1]:
        with pytest.raises(NodeError, match=f"event {number} of the journal is damaged"):
            load_journal(store, journal.path)
    report = check_journal(journal.path)
    assert [line for line in report.damaged if f"event {number} " in line] == list(report.damaged)
    saved = tmp_path / "saved.sqlite"
    assert export_journal(journal.path, saved).events == newest_seq(journal.path) - 1
    assert check_journal(saved).damaged == ()
    kept = sqlite3.connect(saved).execute("SELECT seq FROM journal_damaged").fetchall()
    assert kept == [(number,)]


def test_a_position_outlives_damage_that_a_checkpoint_sums_up(tmp_path: Path) -> None:
    path, saved = tmp_path / "journal.sqlite", tmp_path / "saved.sqlite"
    with checkpoints_every(1), closing(Journal(path, "node")) as journal:
        for part in trade(1, [HELD], []):
            journal.record_all(part)
    alter(path, "UPDATE journal SET payload = '' WHERE kind = 'fills'")
    assert held(path) == [HELD], "it is not even read"
    assert len(check_journal(path).damaged) == 1
    export_journal(path, saved)
    assert held(saved) == [HELD]


def test_pages_that_cannot_be_read_cost_only_what_stood_on_them(tmp_path: Path) -> None:
    path, saved = tmp_path / "journal.sqlite", tmp_path / "saved.sqlite"
    with closing(Journal(path, "node")) as journal:
        for part in trade(1, [HELD], []):
            journal.record_all(part)
        for number in range(500):
            journal.record("node", {"event": "tick", "detail": "x" * 200, "event_id": str(number)})
        total = newest_seq(path)
    content = bytearray(path.read_bytes())
    page = max(number for number in range(0, len(content), 4096) if b"x" * 200 in content[number : number + 4096])
    content[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    report = check_journal(path)
    assert report.damaged
    assert export_journal(path, saved).events == report.events > total - 40
    assert held(saved) == [HELD]
    assert check_journal(saved).damaged == ()


def test_the_journal_of_a_running_node_is_copied_whole_by_the_command(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    copy = tmp_path / "copies" / "journal.sqlite"
    cli = CliRunner()
    assert "nothing is damaged" in cli.invoke(app, ["journal", "check"]).output
    assert cli.invoke(app, ["journal", "export", str(copy)]).exit_code == 0
    assert list(copy.parent.iterdir()) == [copy]
    assert read_since(copy, 0)["plans"].equals(read_since(journal.path, 0)["plans"])
    assert read_state(copy) == read_state(journal.path)
    with closing(Journal(copy, "other")) as taken_over:
        assert taken_over.node == journal.node
        assert taken_over.record("node", {"event": "on"}) == newest_seq(journal.path) + 1
    with pytest.raises(NodeError, match="exists already"):
        export_journal(journal.path, copy)
    alter(journal.path, "UPDATE journal SET payload = '' WHERE seq = 2")
    checked = cli.invoke(app, ["journal", "check"])
    assert checked.exit_code == 1
    assert "event 2 of the journal is damaged" in checked.output
    with pytest.raises(NodeError, match="there is no journal"):
        check_journal(tmp_path / "none.sqlite")
    assert MARKET in str(read_state(copy).markets)
    alter(journal.path, "DELETE FROM journal_checkpoint")
    shown = cli.invoke(app, ["status"])
    assert shown.exit_code == 1
    assert "what is open is not known" in shown.output
    assert "kill switch  off" in shown.output
