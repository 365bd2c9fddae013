"""A desk of one's own: a data folder, the local exchange that replays to it, and the node as a real process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
import pytest

from tests.live.conftest import MARKET, START
from trading_assets.journal import JOURNAL_FILE, read_session
from trading_assets.settings import Settings, load_settings
from trading_live.operations.status import NodeStatus, read_status
from trading_live.replay import Faults, ReplayServer, open_replay

PATIENCE_S = 300.0


def wait_for[T](
    what: Callable[[], T], *, seconds: float = PATIENCE_S, while_alive: subprocess.Popen[str] | None = None
) -> T:
    """Poll until something is truthy."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        if while_alive is not None and while_alive.poll() is not None:
            raise AssertionError(
                f"the node ended with {while_alive.returncode}: {while_alive.communicate()[0][-3000:]}"
            )
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@dataclass
class Desk:
    """A data folder, its replay server, and the node's process."""

    settings: Settings
    server: ReplayServer
    environment: dict[str, str]
    faults: Faults = field(default_factory=Faults)
    notes: dict[str, Any] = field(default_factory=dict)

    def start(self, *arguments: str, module: str = "trading_live") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def journal(self) -> dict[str, pl.DataFrame]:
        return read_session(self.settings.live_dir / JOURNAL_FILE)

    def told(self, event: str) -> list[str]:
        return self.journal()["node"].filter(pl.col("event") == event)["detail"].to_list()

    def signals(self) -> pl.DataFrame:
        return self.journal()["signals"]

    def status(self) -> NodeStatus:
        return read_status(self.settings)


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
            environment |= {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
            for name, value in environment.items():
                patch.setenv(name, value)
            yield Desk(load_settings(), server, os.environ | environment, faults)


def finish(process: subprocess.Popen[str], seconds: float = PATIENCE_S) -> tuple[int, str]:
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output
