"""A node that starts on a full disk: what is open is minded, and the journal is written when there is room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.live.conftest import START
from tests.live.node.test_without_a_model import leave_open
from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, NODE, Journal, read_session
from trading_assets.settings import Settings
from trading_live.node.journal.late_journal import open_journal
from trading_live.recovery.from_journal import recover

EVENT = (NODE, {"ts": START, "event": "came later", "detail": ""})


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def test_with_something_open_the_journal_waits_for_room_and_has_everything_then(settings: Settings) -> None:
    leave_open(settings, price=100.0, minutes=60)
    path = settings.live_dir / JOURNAL_FILE
    with full_disk():
        journal = open_journal(path, "other")
        journal.keep_all([EVENT])
        assert "1 events wait in memory" in journal.complaint
        with pytest.raises(NodeError, match="the journal cannot be used"):
            journal.record_all([EVENT])  # an entry
        assert recover(path).open_markets
    assert journal.flush(now=True)
    assert journal.complaint == ""
    journal.close()
    with closing(Journal(path, "other")) as again:
        assert journal.node == again.node
    assert read_session(path)["node"]["event"].to_list()[1:] == ["written late", "came later"]


def test_with_nothing_open_the_node_does_not_start_on_a_full_disk(settings: Settings) -> None:
    path = settings.live_dir / JOURNAL_FILE
    with closing(Journal(path, "paper-replay")) as journal:
        journal.record(*EVENT)
    with full_disk(), pytest.raises(NodeError, match="free space on the disk"):
        open_journal(path, "paper-replay")


def test_a_damaged_journal_is_refused_whatever_is_open(settings: Settings) -> None:
    leave_open(settings, price=100.0, minutes=60)
    path = settings.live_dir / JOURNAL_FILE
    path.write_bytes(b"no journal " * 1000)
    with pytest.raises(NodeError, match="trading journal check"):
        open_journal(path, "paper-replay")
