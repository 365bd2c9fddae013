"""`make bench`: every hot path beside a peer in the same run, one table each; name some to run only those."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

NAMES = (
    "store",
    "store_server",
    "ingest",
    "backfill",
    "quality",
    "features",
    "labels",
    "train",
    "learners",
    "search",
    "screening",
    "estimators",
    "confidence",
    "lstm",
    "backtest",
    "report",
    "journal",
    "live",
    "live_kill",
    "live_stop",
    "wire",
    "memory",
    "reconcile",
    "calls",
)

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("names", nargs="*", help=f"which of {', '.join(NAMES)}; default: all")
wanted = parser.parse_args().names or NAMES
if unknown := set(wanted) - set(NAMES):
    parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}")
print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: compare ratios, not seconds, between machines")
for name in wanted:  # each in a process of its own, so that none warms or crowds another
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
