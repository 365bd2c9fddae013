"""What a benchmark measures and how the table shows it."""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """The limit that a measurement must keep; only the fields that are set count."""

    max_seconds: float | None = None
    min_rows_per_s: float | None = None
    max_times_peer: float | None = None

    def __str__(self) -> str:
        parts = []
        if self.max_seconds is not None:
            parts.append(f"<= {duration(self.max_seconds)}")
        if self.min_rows_per_s is not None:
            parts.append(f">= {count(self.min_rows_per_s)}/s")
        if self.max_times_peer is not None:
            parts.append(f"<= {self.max_times_peer:g} x peer")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the table.

    Attributes
    ----------
    name
        What was done, short.
    seconds
        How long it took (best or median of a few runs; a latency quantile where the name says so).
    rows
        Rows, bars or candles worked on; 0 where a rate means nothing.
    peer_name, peer_seconds
        What did the same work in the same run, and how long it took.
    target
        The limit, where there is one.
    """

    name: str
    seconds: float
    rows: int = 0
    peer_name: str = ""
    peer_seconds: float | None = None
    target: Target | None = None

    @property
    def rows_per_s(self) -> float | None:
        """Rows in one second."""
        return self.rows / self.seconds if self.rows and self.seconds > 0 else None

    @property
    def times_peer(self) -> float | None:
        """Our time over the peer's: below 1 means faster."""
        return self.seconds / self.peer_seconds if self.peer_seconds else None

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None without one, or where what it limits was not measured."""
        limit = self.target
        if limit is None:
            return None
        verdicts: list[bool] = []
        if limit.max_seconds is not None:
            verdicts.append(self.seconds <= limit.max_seconds)
        if limit.min_rows_per_s is not None and self.rows_per_s is not None:
            verdicts.append(self.rows_per_s >= limit.min_rows_per_s)
        if limit.max_times_peer is not None and self.times_peer is not None:
            verdicts.append(self.times_peer <= limit.max_times_peer)
        return all(verdicts) if verdicts else None


def main(run: Callable[..., list[Measurement]], about: str | None, *, title: str, parts: Collection[str] = ()) -> None:
    """Be the command of one benchmark: run it, or those of its parts that are named, and print its table."""
    parser = argparse.ArgumentParser(description=about)
    if parts:
        print_table(run(asked(parser, parts)), title=title)
    else:
        parser.parse_args()
        print_table(run(), title=title)


def asked(parser: argparse.ArgumentParser, known: Collection[str]) -> list[str]:
    """Those of the known names that the command line has; all where it has none."""
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(known)}; default: all")
    names = parser.parse_args().names or list(known)
    if unknown := set(names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return list(names)


def best_of(work: Callable[[], object], *, repeat: int = 3, setup: Callable[[], object] | None = None) -> float:
    """Seconds of the fastest of ``repeat`` runs; ``setup`` runs before each one, untimed."""
    return min(_times(work, repeat, setup))


def median_of(work: Callable[[], object], *, repeat: int = 5, setup: Callable[[], object] | None = None) -> float:
    """Seconds of the median of ``repeat`` runs; ``setup`` runs before each one, untimed."""
    return statistics.median(_times(work, repeat, setup))


def _times(work: Callable[[], object], repeat: int, setup: Callable[[], object] | None) -> list[float]:
    times = []
    for _ in range(repeat):
        if setup is not None:
            setup()
        gc.collect()
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return times


def duration(seconds: float) -> str:
    """Seconds with a unit that suits their size."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def count(rows: float) -> str:
    """A count with k or M."""
    if rows >= 1e6:
        return f"{rows / 1e6:.2f} M"
    return f"{rows / 1e3:.0f} k" if rows >= 1e4 else f"{rows:.0f}"


def print_table(measurements: Sequence[Measurement], *, title: str = "Benchmarks") -> None:
    """Print the measurements beside their peers and targets."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    for column in ("time", "rows/s", "peer", "peer's time", "time / peer", "target"):
        table.add_column(column, justify="left" if column == "peer" else "right")
    table.add_column("met")
    for item in measurements:
        table.add_row(
            item.name,
            duration(item.seconds),
            count(item.rows_per_s) if item.rows_per_s else "",
            item.peer_name,
            duration(item.peer_seconds) if item.peer_seconds else "",
            f"{item.times_peer:.2f}" if item.times_peer else "",
            str(item.target or ""),
            {None: "", True: "[green]yes[/]", False: "[bold red]NO[/]"}[item.passed],
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)
