"""A disk that takes its time: what has happened waits in memory, stops do not wait, and nothing is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.journal.lives import T0
from trading_assets.core.errors import NodeError
from trading_assets.journal import BufferedJournal, Journal, read_since
from trading_assets.journal.writer import Row


class Slow(Journal):
    """Writes as soon as the disk goes on."""

    def __init__(self, path: Path) -> None:
        self.goes_on = threading.Event()
        self.begun = threading.Event()
        super().__init__(path, "node")

    def write(self, rows: Sequence[Row]) -> list[int]:
        self.begun.set()
        assert self.goes_on.wait(60)
        return super().write(rows)


@pytest.fixture
def disk(tmp_path: Path) -> Slow:
    return Slow(tmp_path / "journal.sqlite")


@pytest.fixture
def journal(disk: Slow) -> Iterator[BufferedJournal]:
    with closing(BufferedJournal(disk, patience_s=0.005)) as one:
        yield one
        disk.goes_on.set()


def keep(journal: BufferedJournal, event: str) -> None:
    journal.keep_all([("node", {"ts": T0, "event": event})])


def written(journal: BufferedJournal) -> list[str]:
    return read_since(journal.path, 0)["node"]["event"].to_list()


def test_what_happens_is_taken_while_the_disk_stands_and_written_in_its_order(
    disk: Slow, journal: BufferedJournal
) -> None:
    for event in ("filled", "protected", "closed"):
        keep(journal, event)
    assert disk.begun.is_set()
    assert (written(journal), journal.waiting) == ([], 3)
    assert journal.complaint == "", "a disk that is slow is no trouble"
    disk.goes_on.set()
    assert journal.flush(now=True)
    assert (written(journal), journal.waiting) == (["filled", "protected", "closed"], 0)


def test_an_entry_finds_written_what_happened_before_it_or_is_refused(disk: Slow, journal: BufferedJournal) -> None:
    keep(journal, "filled")
    with pytest.raises(NodeError, match="the disk has not yet taken what happened before"):
        journal.record_all([("node", {"ts": T0, "event": "refused entry"})])
    disk.goes_on.set()
    assert journal.flush(now=True)
    journal.record_all([("node", {"ts": T0, "event": "entry"})])
    assert written(journal) == ["filled", "entry"]


def test_a_node_that_ends_waits_for_the_disk(disk: Slow) -> None:
    journal = BufferedJournal(disk, patience_s=0.005)
    keep(journal, "filled")
    threading.Timer(0.05, disk.goes_on.set).start()
    journal.close()
    assert written(journal) == ["filled"]
