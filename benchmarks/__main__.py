"""`make bench`: every hot path beside a peer in the same run, one table each; name some to run only those."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks.table import asked

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

wanted = asked(argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__), NAMES)
print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: compare ratios, not seconds, between machines")
for name in wanted:  # each in a process of its own, so that none warms or crowds another
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
