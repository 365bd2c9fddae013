"""A desk of one's own: a data folder, the local exchange that replays to it, and the node as a real process."""

from __future__ import annotations

import inspect
import os
import signal
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
import pytest

from tests.live.conftest import MARKET, START
from tests.live.forks import Forked, parent
from trading_assets.core.errors import TradingError
from trading_assets.journal import JOURNAL_FILE, newest_seq, read_session
from trading_assets.settings import Settings, load_settings
from trading_live.operations.status import NodeStatus, read_status
from trading_live.replay import Faults, ReplayServer, open_replay

PATIENCE_S = 300.0
"""How long anything is waited for: a machine under load is no failure."""
QUIET_S = 60.0
"""Nothing that a journal tells comes any more, so long after the end of its replay."""
REST_S = 0.5
"""What a node does about the newest bar is in its journal, so long after the last entry."""
POLL_S = 0.1
LEASH = timedelta(hours=2)
"""How far a replay goes ahead of a test that waits: what a slow test does meanwhile costs no market time."""
STEP = timedelta(minutes=5)

_open: list[Desk] = []


def wait_for[T](what: Callable[[], T], *, seconds: float = PATIENCE_S, while_alive: Forked | None = None) -> T:
    """Poll until something is truthy; else say what was waited for, and what the nodes did meanwhile."""
    deadline = time.monotonic() + seconds
    quiet = _Quiet()
    while time.monotonic() < deadline:
        for one in _open:
            one.lead()
        if found := what():
            return found
        if while_alive is not None and while_alive.poll() is not None:
            _fail(f"the node ended with {while_alive.returncode}", what, while_alive.communicate()[0][-3000:])
        if quiet.for_good():
            _fail(f"nothing has come for {QUIET_S:.0f} s after the end of the replay", what)
        time.sleep(POLL_S)
    return _fail(f"waited for {seconds:.0f} s", what)


@dataclass
class Desk:
    """A data folder, its replay server, and the node's process."""

    settings: Settings
    server: ReplayServer
    environment: dict[str, str]
    faults: Faults = field(default_factory=Faults)
    notes: dict[str, Any] = field(default_factory=dict)
    leash: timedelta | None = LEASH
    is_led: bool = True
    heard_before: frozenset[str] = frozenset()
    _read: tuple[int, dict[str, pl.DataFrame]] = (0, {})

    def lead(self) -> None:
        """Let the replay go on for a while."""
        if self.is_led:
            self.server.play_until(self.leash and self.server.now + self.leash)

    def start(self, *arguments: str, module: str = "trading_live") -> Forked:
        output = self.settings.data_dir / f"output-{time.monotonic_ns()}.txt"
        output.parent.mkdir(parents=True, exist_ok=True)
        return parent().start(self.environment, output, *arguments, module=module)

    def journal(self) -> dict[str, pl.DataFrame]:
        """The newest session; read anew only where something was written since: a wait looks ten times a second."""
        path = self.settings.live_dir / JOURNAL_FILE
        newest = newest_seq(path)
        if not newest or newest != self._read[0]:
            self._read = (newest, read_session(path))
        return dict(self._read[1])

    @property
    def protected(self) -> bool:
        """Whether a position is open, and the venue has its stop and target."""
        if len(positions := self.status().positions) != 1:
            return False
        orders = self.journal()["orders"].filter(signal_id=positions[0].signal_id, status="accepted")
        return {"stop_loss", "take_profit"} <= set(orders["purpose"])

    def told(self, event: str) -> list[str]:
        return self.journal()["node"].filter(pl.col("event") == event)["detail"].to_list()

    def signals(self) -> pl.DataFrame:
        return self.journal()["signals"]

    def status(self) -> NodeStatus:
        return read_status(self.settings)

    @property
    def trades(self) -> bool:
        """Whether a node has started, listens to all that a killed one listened to, and decides."""
        status = self.status()
        runs = status.running and status.heartbeat is not None and status.heartbeat.state == "trading"
        return runs and self.server.streams >= self.heard_before

    def freeze[T](self, when: Callable[[], T], process: Forked) -> T:
        """Stop the replay while something holds, and the node at rest: what holds for a while only goes on to hold.

        A replay that merely runs on is somewhere else by the time that a test has seen it.
        """
        wait_for(when, while_alive=process)
        self.is_led, end = False, self.server.now
        while True:
            self.server.play_until(end)
            self._rest(process)
            if found := when():
                break
            if self.server.finished:
                _fail("the replay has ended", when)
            end = self.server.now + STEP
        self.server.pause()
        self.is_led = True
        return found

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The replay stands meanwhile: what takes this machine's time costs none of the market's."""
        self.server.pause()
        yield
        self.server.go_on()

    def kill(self, process: Forked, when: Callable[[], Any]) -> None:
        """End the node as the system does, while something holds; the replay stands still until it is let go on."""
        self.freeze(when, process)
        self.heard_before = self.server.streams
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if not when():
            _fail("it no longer held when the node was dead", when)

    def start_again(self, *arguments: str, module: str = "trading_live") -> Forked:
        """Start a node in place of one that has ended; the replay stands until it listens to all that was listened to.

        A busy machine takes a minute to start it, in which days would be replayed to nobody.
        """
        self.server.pause()
        process = self.start(*arguments, module=module)
        try:
            wait_for(lambda: self.server.streams >= self.heard_before, while_alive=process)
        except BaseException:
            process.kill()
            raise
        self.server.go_on()
        return process

    def _rest(self, process: Forked) -> None:
        """Wait until the node has dealt with all that was sent, and has nothing more to write of it."""
        wait_for(lambda: self.server.at_rest, while_alive=process)
        path, since, seen = self.settings.live_dir / JOURNAL_FILE, time.monotonic(), -1
        while time.monotonic() - since < REST_S:
            if (newest := newest_seq(path)) != seen:
                seen, since = newest, time.monotonic()
            time.sleep(POLL_S)

    def report(self) -> str:
        """What the node did last, for whoever has waited for something else."""
        status = self.status()
        with pl.Config(tbl_rows=40, tbl_cols=-1, tbl_width_chars=200, fmt_str_lengths=120):
            told = status.events if status.events.is_empty() else status.events.select("ts", "event", "detail")
            parts = [
                f"replay at {self.server.now}, finished: {self.server.finished}, held {self.server.held_s:.1f} s",
                f"running: {status.running}, heartbeat: {status.heartbeat}",
                f"positions: {status.positions}",
                f"events:\n{told}",
                f"newest signals:\n{status.signals}",
                *(f"{file.name}:\n{_tail(file)}" for file in sorted(self.settings.data_dir.glob("logs/*"))),
            ]
        return "\n".join(parts)


@contextmanager
def desk(
    folder: Path,
    store_file: Path,
    *,
    speed: float,
    hours: float,
    markets: Sequence[str] = (MARKET,),
    further: Mapping[str, str] = MappingProxyType({}),
    faults: Faults | None = None,
    leash: timedelta | None = LEASH,
) -> Iterator[Desk]:
    """A desk with a running replay server; ``further`` are settings as environment variables."""
    faults = faults or Faults()
    environment = {
        **further,
        "TRADING_DATA_DIR": str(folder / "data"),
        "TRADING_STORE__URL": f"duckdb:///{store_file}",
        "TRADING_REPLAY__PORT": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = load_settings()
        end = START + timedelta(hours=hours)
        with open_replay(settings, markets=markets, start=START, end=end, speed=speed, faults=faults) as server:
            environment["TRADING_REPLAY__PORT"] = str(server.port)
            patch.setenv("TRADING_REPLAY__PORT", str(server.port))
            one = Desk(load_settings(), server, os.environ | environment, faults, leash=leash)
            one.lead()
            _open.append(one)
            try:
                yield one
            finally:
                _open.remove(one)


def beside[T](what: Callable[[], T]) -> T:
    """Do something while replays go on: a command that waits for a node waits for bars, too."""
    with ThreadPoolExecutor(1) as thread:
        doing = thread.submit(what)
        wait_for(doing.done)
        return doing.result()


def finish(process: Forked, seconds: float = PATIENCE_S) -> tuple[int, str]:
    """Wait for a node's end while replays go on: what it closes is filled by a bar to come."""
    output, _ = beside(lambda: process.communicate(timeout=seconds))
    return process.returncode, output


class _Quiet:
    """Whether the replays of all desks are over, and nothing has been journalled since for long."""

    def __init__(self) -> None:
        self._seen: list[int] = []
        self._since = time.monotonic()

    def for_good(self) -> bool:
        if not _open or not all(one.server.finished for one in _open):
            self._since = time.monotonic()
            return False
        seen = [newest_seq(one.settings.live_dir / JOURNAL_FILE) for one in _open]
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since > QUIET_S


def _fail(why: str, what: Callable[[], Any], output: str = "") -> Any:
    try:
        source = textwrap.dedent(inspect.getsource(what)).strip()
    except (OSError, TypeError):
        source = repr(what)
    reports = []
    for one in _open:
        try:
            reports.append(one.report())
        except TradingError as error:
            reports.append(str(error))
    raise AssertionError("\n".join([f"{why}, in vain, for: {source}", output, *reports]))


def _tail(file: Path, lines: int = 20) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
