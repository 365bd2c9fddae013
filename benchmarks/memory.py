"""The node's memory over a replayed day of trading in live mode: ``python -m benchmarks.memory [--hours 24]``.

The local exchange runs in this process, the node in another; its resident memory is read in each hour of market time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.live import START, Case
from benchmarks.wire import begin, playing
from trading_assets.settings import LabelSettings

_HOURS: Final = 24
_SPEED: Final = 600.0
_FIRST: Final = 2
"""The hour that others are compared with: buffers and caches have their size by then."""

_MOST_PCT: Final = 5.0
_LOOK_S: Final = 0.25
_CASE: Final = Case(
    markets=2,
    closes=0,
    seconds=0.0,
    warm_up=0,
    max_p99=0.0,
    labels=LabelSettings(take_profit_pct=0.3, stop_loss_pct=0.3, horizon_bars=2),
)
"""Two markets that enter whenever nothing is open: some thousand orders a day."""


def run(hours: int = _HOURS, speed: float = _SPEED) -> tuple[dict[int, float], int]:
    """Hour of the replay -> the median of the node's memory in it, in MB; and how many orders the exchange got."""
    length = _CASE.longest.length
    case = replace(_CASE, closes=round(timedelta(hours=hours) / length), seconds=length.total_seconds() / speed)
    seen: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = begin(Path(folder), case)
        with playing(settings, case, ["trading_live"]) as (server, process):
            while not server.finished:
                time.sleep(_LOOK_S)
                if process.poll() is not None:
                    raise RuntimeError(f"the node ended with {process.returncode}")
                if server.now > START:
                    seen.setdefault((server.now - START) // timedelta(hours=1) + 1, []).append(
                        _resident_mb(process.pid)
                    )
            orders = len(server.account.orders) + len(server.account.conditionals)
            process.terminate()
            process.wait(60)
    return {hour: statistics.median(found) for hour, found in seen.items() if hour <= hours}, orders


def _resident_mb(pid: int) -> float:
    """What a process holds in memory, by Linux' own account."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def show(found: dict[int, float], orders: int) -> None:
    """Print each hour, and whether the memory is flat."""
    table = Table(title="Memory of a node over a replayed day, live mode", title_justify="left")
    for name in ("market hour", "resident", "beside hour 2"):
        table.add_column(name, justify="right")
    first, last = found[_FIRST], found[max(found)]
    for hour, size in found.items():
        table.add_row(str(hour), f"{size:.1f} MB", f"{100 * (size / first - 1):+.1f} %")
    grown = 100 * (last / first - 1)
    met = "[green]yes[/]" if grown <= _MOST_PCT else "[bold red]NO[/]"
    console = Console()
    console.print(table)
    console.print(f"{orders:,} orders; growth from hour {_FIRST} to {max(found)}: {grown:+.1f} %")
    console.print(f"target: <= {_MOST_PCT:g} %; met: {met}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--hours", type=int, default=_HOURS, help="of market time")
    parser.add_argument("--speed", type=float, default=_SPEED, help="market seconds a second")
    asked = parser.parse_args()
    show(*run(asked.hours, asked.speed))
