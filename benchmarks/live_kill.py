"""From a kill to flat, on paper and with orders at the local exchange: ``python -m benchmarks.live_kill [paper|live]``.

Of each kill three times: from the command to its switch, from there until the journal has every position closed, and
both in one. A kill ends its node; halts, which take the same way from a file in the node's folder to orders at the
market, are measured more often, as one node can be halted and resumed again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.live import MARKETS, START, Case, prepare
from benchmarks.table import Measurement, Target, main
from trading_assets.features import LIVE_ENVIRONMENT
from trading_assets.journal import JOURNAL_FILE
from trading_assets.settings import Settings, load_settings
from trading_assets.store import open_store
from trading_assets.strategies.protections import NODE
from trading_live.operations import kill_switch, pauses
from trading_live.replay import ReplayServer, read_tape
from trading_live.replay.orders.opening import terms_of

_CASE = Case(markets=4, closes=6000, seconds=1.0, warm_up=1, max_p99=1.0)
_KILLS = {"paper": 5, "live": 20}
_HALTS = 20
_MODES = {"paper": "the sandbox", "live": "orders at the venue"}
_COMMANDS = 10
_TRADING = [sys.executable, "-m", "trading_cli"]


def run(modes: Iterable[str] = tuple(_MODES)) -> list[Measurement]:
    """Quantiles of each part."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ |= _environment(place)
        settings = load_settings()
        prepare(settings, _CASE)
        commands = [_command(place / "alone") for _ in range(_COMMANDS)]
        found = _quantiles("trading kill to its switch", commands)
        for mode in modes:
            words = _MODES[mode]
            os.environ["TRADING_NODE__MODE"] = mode
            halts, kills = _measure(load_settings(), _KILLS[mode])
            found += _quantiles(f"a halt to flat, {words}, {_CASE}", halts)
            found += _quantiles(f"trading kill: its switch to flat, {words}", [one.closing for one in kills])
            found += _quantiles(f"trading kill to flat, {words}", [one.whole for one in kills], limit=1.0)
    return found


class Kill(NamedTuple):
    """Seconds of a kill, from the start of its command: until its switch was on, and until all was flat."""

    switch: float
    whole: float

    @property
    def closing(self) -> float:
        """From the switch to flat."""
        return self.whole - self.switch


def _measure(settings: Settings, count: int) -> tuple[list[float], list[Kill]]:
    """Seconds of halts and kills of nodes, one after the other."""
    halts: list[float] = []
    kills: list[Kill] = []
    for number in range(count):
        with _node(settings) as process:
            _wait(lambda: _held(settings) >= 1, process)
            if number == 0:
                halts = [_halt(settings, process) for _ in range(_HALTS)]
                _wait(lambda: _held(settings) >= 1, process)
            kills.append(_kill(settings, process))
        kill_switch.reset(settings.live_dir)
    return halts, kills


def _quantiles(name: str, seconds: list[float], limit: float | None = None) -> list[Measurement]:
    p50, p99 = (float(np.quantile(seconds, one)) for one in (0.5, 0.99))
    target = None if limit is None else Target(max_seconds=limit)
    return [
        Measurement(f"{name}, p50 of {len(seconds)}", p50),
        Measurement(f"{name}, p99", p99, target=target),
    ]


def _environment(place: Path) -> dict[str, str]:
    return {
        "TRADING_DATA_DIR": str(place / "data"),
        "TRADING_STORE__URL": f"duckdb:///{place / 'm.duckdb'}",
        "TRADING_TRADING__RISK__MAX_DAILY_LOSS": "1e9",
        "TRADING_TRADING__RISK__MAX_ORDERS_PER_MINUTE": "100000",
    }


def _command(place: Path) -> float:
    """Seconds from the start of the command to the switch in its place."""
    live_dir = place / "live"
    live_dir.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with subprocess.Popen([*_TRADING, "--data-dir", str(place), "kill"], stdout=subprocess.DEVNULL) as process:
        while kill_switch.engaged(live_dir) is None:
            time.sleep(0.001)
        took = time.monotonic() - began
        process.wait()
    kill_switch.reset(live_dir)
    return took


@contextmanager
def _node(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A node on a replay of its own."""
    (settings.live_dir / JOURNAL_FILE).unlink(missing_ok=True)
    (settings.live_dir / "node.json").unlink(missing_ok=True)
    tape = read_tape(
        open_store(settings.store_url),
        dict.fromkeys(MARKETS[: _CASE.markets], "1m"),
        start=START,
        end=START + 90 * _CASE.longest.length,
        history=_CASE.history,
    )
    speed = _CASE.longest.length.total_seconds() / _CASE.seconds
    with ReplayServer(tape, speed=speed, terms=terms_of(settings)) as server:
        address = {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
        more = os.environ | address | LIVE_ENVIRONMENT | {"TRADING_LOGS__LEVEL": "ERROR"}
        with subprocess.Popen([sys.executable, "-m", "trading_live"], env=more) as process:
            try:
                yield process
            finally:
                process.kill()


def _halt(settings: Settings, process: subprocess.Popen[bytes]) -> float:
    """Seconds from a request to halt until the journal holds nothing open; then trading goes on."""
    _wait(lambda: _held(settings) >= 1, process)
    began = time.monotonic()
    pauses.ask(settings.live_dir, pauses.now_at("pause", NODE, flatten=True))
    _wait(lambda: _held(settings) == 0, process)
    took = time.monotonic() - began
    pauses.ask(settings.live_dir, pauses.now_at("resume", NODE))
    return took


def _kill(settings: Settings, process: subprocess.Popen[bytes]) -> Kill:
    """Kill a node, and see when its switch is on and when the journal holds nothing open."""
    began = time.monotonic()
    with subprocess.Popen([*_TRADING, "kill"], stdout=subprocess.DEVNULL) as command:
        _wait(lambda: kill_switch.engaged(settings.live_dir) is not None, process)
        switch = time.monotonic() - began
        _wait(lambda: _held(settings) == 0, process)
        whole = time.monotonic() - began
        command.wait()
    return Kill(switch, whole)


def _held(settings: Settings) -> int:
    """How many positions the journal has open."""
    path = settings.live_dir / JOURNAL_FILE
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as journal:
            rows = journal.execute("SELECT payload FROM journal WHERE kind = 'positions' ORDER BY seq").fetchall()
    except sqlite3.OperationalError:  # not begun
        return 0
    newest = {row["market"]: row["event"] for row in map(json.loads, (row[0] for row in rows))}
    return sum(event != "closed" for event in newest.values())


def _wait(until: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not until():
        if process.poll() is not None and not until():
            raise RuntimeError(f"the node ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError("the node did not get there")
        time.sleep(0.002)


if __name__ == "__main__":
    main(run, __doc__, title="Kill", parts=_MODES)
