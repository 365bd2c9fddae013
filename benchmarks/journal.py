"""Status and start on a journal of ten million events, beside one of ten thousand: ``python -m benchmarks.journal``."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.table import Measurement, Target, best_of, print_table
from trading_assets.journal import Journal, load_journal, read_state
from trading_assets.journal.file import connect
from trading_assets.settings import Settings, load_settings
from trading_assets.store import open_store
from trading_live.operations.status import read_status
from trading_live.recovery.from_journal import recover

EVENTS = 10_000_000
FEW = 10_000
MARKET = "binance:BTC/USDT:USDT"
T0 = datetime(2025, 5, 20, tzinfo=UTC)
_DECISIONS = """
INSERT INTO journal (session, event_id, kind, payload)
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?)
SELECT 1, 'signals:' || n, 'signals',
    '{"action": "hold", "bar_ts": "2025-05-20T00:00:00+00:00", "market": "' || ? || '", "probability": 0.4, '
    || '"reason": "below the threshold", "signal_id": "s' || n || '", "ts": "2025-05-20T00:15:00+00:00"}'
FROM counted
"""


def run(events: int = EVENTS) -> list[Measurement]:
    """Times of a long journal and, as the peer, of a short one."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = _journal(Path(folder) / "few", FEW), _journal(Path(folder) / "many", events)
        journals = [(few, few.live_dir / "journal.sqlite"), (many, many.live_dir / "journal.sqlite")]
        status = [best_of(lambda s=settings: read_status(s)) for settings, _ in journals]
        start = [best_of(lambda p=path: recover(p)) for _, path in journals]
        assert read_state(journals[1][1]).seq >= events
        store = open_store(f"duckdb:///{Path(folder) / 'm.duckdb'}")
        load_journal(store, journals[0][1])
        again = best_of(lambda: load_journal(store, journals[0][1]))
    peer = f"{FEW:,} events"
    target = Target(max_seconds=1.0)
    return [
        Measurement(f"trading status, {events:,} events", status[1], 0, peer, status[0], target),
        Measurement(f"a node's start, {events:,} events", start[1], 0, peer, start[0], target),
        Measurement(f"a load that finds nothing new, {FEW:,} events", again),
    ]


def _journal(folder: Path, events: int) -> Settings:
    """A journal whose checkpoint is the oldest that a running node leaves."""
    settings = load_settings(data_dir=folder)
    path = settings.live_dir / "journal.sqlite"
    with closing(Journal(path, "bench")):
        pass
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(_DECISIONS, (events, MARKET))
    with closing(Journal(path, "bench")) as journal:  # sums up what an older version left
        for number in range(900):
            journal.record("node", {"ts": T0, "event": "tick", "detail": str(number)})
    return settings


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="of the long journal")
    print_table(run(parser.parse_args().events), title="Journal")
