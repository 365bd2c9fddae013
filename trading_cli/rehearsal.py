"""A rehearsal: the local exchange replays stored candles to a node of its own process, and fills its orders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trading_assets.core.errors import NodeError
from trading_assets.settings import PROJECT_ROOT, Settings
from trading_assets.store import configured_store
from trading_cli.console import progress

if TYPE_CHECKING:
    from trading_live.replay import Progress, ReplayServer

_NODE_START_S: Final = 180
_ORDERS_S: Final = 120
"""What orders may take beside the replay, which waits for a node whose orders it fills."""
_NODE_STOP_S: Final = 60


@contextmanager
def rehearsed(
    settings: Settings,
    markets: Sequence[str],
    *,
    days: timedelta,
    seconds: float,
    output: Path,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[ReplayServer, subprocess.Popen[bytes]]]:
    """Replay the newest days to a node, and show how far it is; within the block all was replayed and both still run.

    Parameters
    ----------
    settings, markets
        The store, and what of it is replayed.
    days, seconds
        How much, and how long that may take.
    output
        Where what the node prints goes.
    variables
        Further environment variables of the node.

    Raises
    ------
    NodeError
        If the node ends early or is too slow.
    """
    from trading_live.replay import open_replay

    shown = progress()
    task = shown.add_task("replay", total=100, note="the node starts")

    def show(now: Progress) -> None:
        note = "the node starts" if now.waiting else f"{now.replayed_at:%Y-%m-%d %H:%M} UTC"
        shown.update(task, completed=100 * now.fraction, note=note)

    end = configured_store(settings).query("SELECT max(ts) AS ts FROM candles")["ts"].item()
    speed = days.total_seconds() / seconds
    server = open_replay(settings, markets=markets, start=end - days, speed=speed, port=0, on_progress=show)
    with server, output.open("w") as printed:
        environment = {**os.environ, "TRADING_REPLAY__PORT": str(server.port), "TRADING_NODE__MODE": "live"}
        environment |= {"TRADING_NODE__ENVIRONMENT": "replay", **variables}
        command = [sys.executable, "-m", "trading_cli", "live"]
        node = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=printed, stderr=printed)
        try:
            deadline = time.monotonic() + _NODE_START_S + _ORDERS_S + 3 * seconds
            with shown:
                while not server.wait(0.2) and node.poll() is None and time.monotonic() < deadline:
                    pass
            if not server.finished or node.poll() is not None:
                raise NodeError(
                    f"the node {'was too slow' if node.poll() is None else 'ended early'}: {_last_line(output)}",
                    where=str(output),
                    remedy=f"see {settings.data_dir / 'logs' / 'node.log'}",
                )
            yield server, node
        finally:
            stop(node)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process as Ctrl-C would."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_NODE_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_line(file: Path) -> str:
    lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
