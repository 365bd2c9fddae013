"""The kill switch where no node runs, the disk is full, or the node does not listen."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.journal.lives import trade, unprivileged
from tests.live.rehearsed import STILL, desk, opened
from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, Journal
from trading_assets.settings import Settings
from trading_cli.live import kill as command
from trading_cli.main import app
from trading_live.node.node import run_node
from trading_live.operations import kill_switch
from trading_live.operations.heartbeat import Heartbeat, NodeLock, holder, is_running
from trading_live.recovery.from_journal import recover

TRADED = "sample:SYNA/USDT:USDT (synthetic)"


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["kill", *arguments])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def folder(live_settings: Settings) -> Path:
    """A node's folder with a journal that holds a position."""
    with closing(Journal(live_settings.live_dir / JOURNAL_FILE, "node")) as journal:
        for part in trade(1, [3.0], []):
            journal.record_all(part)
    return live_settings.live_dir


def intended(folder: Path) -> tuple[str, str]:
    (plan,) = recover(folder / JOURNAL_FILE).plans
    return plan.stage, plan.exit_reason


def test_a_kill_while_no_node_runs_names_what_is_open_and_leaves_it_to_the_next_node(folder: Path) -> None:
    code, output = said("--reason", "enough")
    assert code == 1
    assert f"still open {TRADED}: long 3 at 100" in output
    assert "no node is running: nothing protects them" in output
    assert intended(folder) == ("exiting", "kill")
    code, output = said("--reset")
    assert code == 0
    assert f"{TRADED} is closed by the next node first" in output
    assert intended(folder) == ("exiting", "kill")


def test_a_kill_that_no_node_saw_is_remembered_at_the_reset(folder: Path) -> None:
    kill_switch.engage(folder, "and then the machine went down")
    assert intended(folder) == ("open", "")
    said("--reset")
    assert intended(folder) == ("exiting", "kill")


def test_positions_are_kept_where_the_user_says_so(folder: Path) -> None:
    said()
    code, output = said("--reset", "--keep-positions")
    assert code == 0
    assert f"{TRADED} goes on with stop, target and expiry" in output
    assert intended(folder) == ("open", "")


def test_a_kill_with_nothing_open_is_no_error(live_settings: Settings) -> None:
    code, output = said()
    assert code == 0
    assert "no node is running; nothing is open" in output
    assert said("--reset")[1] == "the kill switch is off; `trading paper` starts the node"


def test_a_journal_that_cannot_be_read_is_said_and_the_switch_is_on(folder: Path) -> None:
    (folder / JOURNAL_FILE).write_bytes(b"no database" * 100)
    code, output = said()
    assert code == 1
    assert "what is open is not known" in output
    assert kill_switch.engaged(folder) is not None


@pytest.mark.parametrize("journal", ["gone", "broken", "kept"])
def test_with_real_orders_and_neither_node_nor_store_the_venue_is_asked_and_closed_at(
    live_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        for name, value in (("MODE", "live"), ("ENVIRONMENT", "replay"), ("BASE_URL_HTTP", one.server.url_http)):
            monkeypatch.setenv(f"TRADING_NODE__{name}", value)
        monkeypatch.setenv("TRADING_STORE__URL", "postgresql://trading@127.0.0.1:1/trading")
        if journal == "kept":
            live_settings.live_dir.mkdir(parents=True)
            with (
                closing(sqlite3.connect(one.path)) as held,
                closing(sqlite3.connect(live_settings.live_dir / JOURNAL_FILE)) as copy,
            ):
                held.backup(copy)
        if journal == "broken":
            live_settings.live_dir.mkdir(parents=True, exist_ok=True)
            (live_settings.live_dir / JOURNAL_FILE).write_bytes(b"no database" * 100)
        code, output = said()
        assert (code, one.account.positions()) == (0, []), output
        assert f"{TRADED}: 10 closed, 2 orders canceled" in output
        written = "the next start writes down" if journal == "broken" else "the journal has"
        assert f"nothing of ours is open at the venue; {written} what happened" in output


@pytest.mark.parametrize("inodes", [True, False])
def test_a_full_disk_does_not_keep_the_switch_off(tmp_path: Path, inodes: bool) -> None:
    """The kernel refuses every byte, as a full disk does, and with ``inodes`` False every new file, too."""
    (tmp_path / "node.json").write_text("{}")
    no_file = "Path.touch = lambda *_, **__: (_ for _ in ()).throw(OSError(28, 'No space left on device'))"
    code = textwrap.dedent(f"""
        import resource
        from pathlib import Path
        from trading_live.operations import kill_switch as kill
        {"" if inodes else no_file}
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        kill.engage(Path({str(tmp_path)!r}), "full")
    """)
    subprocess.run([sys.executable, "-c", code], check=True)
    assert kill_switch.engaged(tmp_path) is not None
    with pytest.raises(NodeError, match="the kill switch is on"):
        kill_switch.require_off(tmp_path)


def test_a_heartbeat_finds_room_on_a_full_disk(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import resource
        from datetime import UTC, datetime
        from pathlib import Path
        from trading_live.operations.heartbeat import Heartbeat, NodeLock, read_heartbeat
        folder, now = Path({str(tmp_path)!r}), datetime.now(UTC)
        presence = NodeLock(folder)
        presence.acquire()
        one = dict(pid=1, node="n", venue="v", environment="e", mode="m", started_at=now, beat_at=now)
        presence.beat(Heartbeat(state="trading", **one, detail="x" * 100))
        resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "node.json").stat().st_size,) * 2)
        file, Path.replace = Path.replace, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        presence.beat(Heartbeat(state="closing", **one))
        assert read_heartbeat(folder).state == "closing"
        (folder / "node.json").unlink()
        presence.beat(Heartbeat(state="closing", **one))
    """)
    subprocess.run([sys.executable, "-c", code], check=True)


@contextmanager
def deaf_node(folder: Path, *, ignores_term: bool) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the folder's lock and looks at nothing."""
    code = textwrap.dedent(f"""
        import signal, sys, time
        from pathlib import Path
        from trading_live.operations.heartbeat import NodeLock
        if {ignores_term}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        presence = NodeLock(Path({str(folder)!r}))
        presence.acquire()
        print("here", flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("ignores_term", [False, True])
def test_a_node_that_does_not_listen_is_ended_and_its_position_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ignores_term: bool
) -> None:
    monkeypatch.setattr(command, "_PATIENCE_S", 0.2)
    monkeypatch.setattr("trading_live.closing.outcome._GRACE_S", 0.5 if ignores_term else 300.0)
    with deaf_node(folder, ignores_term=ignores_term) as process:
        assert holder(folder) == process.pid
        code, output = said("--wait", "0")
        assert code == 1
        assert "still runs after 0 s" in output, "who does not wait ends nothing by force"
        assert is_running(folder)
        code, output = said("--wait", "0.2")
        assert process.wait(120) == -(signal.SIGKILL if ignores_term else signal.SIGTERM)
    assert code == 1
    assert f"process {process.pid} was ended with SIG{'KILL' if ignores_term else 'TERM'}" in output
    assert f"still open {TRADED}: long 3 at 100" in output
    assert intended(folder) == ("exiting", "kill")


def test_a_folder_that_takes_no_kill_file_is_named() -> None:
    with tempfile.TemporaryDirectory() as parent, unprivileged(Path(parent)) as folder:
        folder.chmod(0o555)
        with pytest.raises(NodeError, match=r"the kill file cannot be written: Permission denied; make the folder"):
            kill_switch.engage(folder)
        with pytest.raises(NodeError, match="the node's folder cannot be used: Permission denied"):
            NodeLock(folder).acquire()
        folder.chmod(0o755)


def test_a_folder_that_takes_no_name_has_the_kill_in_its_lock_file_and_no_node_starts_again() -> None:
    with tempfile.TemporaryDirectory() as parent, unprivileged(Path(parent)) as folder:
        before = NodeLock(folder)
        before.acquire()
        folder.chmod(0o555)
        kill_switch.engage(folder, "enough")
        assert (kill_switch.engaged(folder) or pytest.fail("off")).reason == "the folder took no kill file"
        assert holder(folder) == os.getpid()
        before.release()
        with pytest.raises(NodeError, match="the kill switch is on"):
            kill_switch.require_off(folder)  # what a supervisor starts ends with 2, and is not started again
        after = NodeLock(folder)
        after.acquire()  # as --close-only does
        assert kill_switch.engaged(folder) is not None
        assert kill_switch.reset(folder)
        assert kill_switch.engaged(folder) is None
        assert holder(folder) == os.getpid()
        after.release()
        folder.chmod(0o755)


def test_a_lost_journal_that_held_a_trade_is_not_begun_anew(folder: Path, live_settings: Settings) -> None:
    now = datetime.now(UTC)
    last = Heartbeat(
        pid=1, state="stopped", node="paper-1", venue="v", environment="e", mode="m", started_at=now, beat_at=now
    )
    NodeLock(folder).beat(last.model_copy(update={"open_markets": ("sample:SYNA/USDT:USDT",)}))
    (folder / JOURNAL_FILE).unlink()
    with pytest.raises(NodeError, match=r"journal of paper-1 is missing.*in sample:SYNA.*put it or an export back"):
        run_node(live_settings)
    assert not (folder / JOURNAL_FILE).exists()
