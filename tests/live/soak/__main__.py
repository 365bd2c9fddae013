"""The node at the local exchange, with faults and kill -9 by a seed: ``python -m tests.live.soak 1000``.

``--first`` is the first seed, ``--beside`` how many worlds go on side by side, ``--file`` where outcomes are kept, a
line each: seeds that stand there are not run again, so that a run that was interrupted goes on. ``--table`` prints the
page of the reference from that file instead. Ends with 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tests.live.forks import parent
from tests.live.soak.table import NAKED_S, judged, page
from tests.live.soak.world import Ground, live_through, prepare
from trading_assets.features import LIVE_ENVIRONMENT

BESIDE = 6


def main(arguments: list[str] | None = None) -> int:
    """Run the seeds, print each as it ends, and the table of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.soak")
    parser.add_argument("runs", type=int, nargs="?", default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--beside", type=int, default=BESIDE)
    parser.add_argument("--file", type=Path, default=Path("data/soak.jsonl"))
    parser.add_argument("--keep", action="store_true", help="keep the folders of what went wrong")
    parser.add_argument("--table", action="store_true", help="print the page of the file's outcomes, and run nothing")
    asked = parser.parse_args(arguments)
    os.environ.update(LIVE_ENVIRONMENT)
    asked.file.parent.mkdir(parents=True, exist_ok=True)
    seeds = range(asked.first, asked.first + asked.runs)
    rows = {row["seed"]: row for row in _read(asked.file)}
    if not asked.table:
        _run([seed for seed in seeds if seed not in rows], asked, rows)
    ran = [rows[seed] for seed in sorted(rows if asked.table else seeds) if seed in rows]
    sys.stdout.write("\n".join(page(ran)) + "\n")
    return int(any(judged(row) for row in ran))


def _run(seeds: Iterable[int], asked: argparse.Namespace, rows: dict[int, dict[str, Any]]) -> None:
    forks = parent()
    with tempfile.TemporaryDirectory() as shared, ThreadPoolExecutor(asked.beside) as pool:
        ground = Ground.of(prepare(Path(shared) / "soak"))
        for done in as_completed([pool.submit(live_through, seed, ground, forks, keep=asked.keep) for seed in seeds]):
            row = done.result().row()
            rows[row["seed"]] = row
            with asked.file.open("a") as file:
                file.write(json.dumps(row) + "\n")
            sys.stdout.write(_line(row) + "\n")
            sys.stdout.flush()
        sys.stdout.write(f"processor time: {forks.cpu_s:.0f} s of nodes, {time.process_time():.0f} s of venues\n")


def _line(row: dict[str, Any]) -> str:
    said = "; ".join(judged(row)) or "well"
    return (
        f"seed {row['seed']}: {row['kills']} kills, {row['orders']} orders, {row['fills']} fills, "
        f"{row['naked_s']:.1f} s without a stop (limit {NAKED_S:g}), {row['wall_s']:.0f} s; "
        f"{', '.join(row['faults'])}: {said}"
    )


def _read(file: Path) -> Iterable[dict[str, Any]]:
    return map(json.loads, file.read_text().splitlines()) if file.exists() else ()


if __name__ == "__main__":
    raise SystemExit(main())
