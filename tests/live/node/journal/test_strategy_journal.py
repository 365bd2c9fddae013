"""The strategy's way into the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from trading_assets.journal import JOURNAL_FILE, BufferedJournal, Journal, read_session
from trading_live.node.journal.strategy_journal import StrategyJournal

NOW = datetime(2025, 5, 1, tzinfo=UTC)
MARKET = "sample:SYNA/USDT:USDT"


def test_a_replays_events_carry_the_markets_time(tmp_path: Path) -> None:
    with closing(BufferedJournal(Journal(tmp_path / JOURNAL_FILE, "node"))) as journal:
        stamped = StrategyJournal(journal, market_time=NOW)
        stamped.keep_all([("signals", {"ts": datetime.now(UTC), "market": MARKET})])
        stamped.record_all([("fills", {"ts": datetime.now(UTC), "market": MARKET})])
    events = read_session(journal.path)
    assert events["signals"]["ts"].to_list() == events["fills"]["ts"].to_list() == [NOW]


class _Alarm:
    """A strategy's time: what is to be called later is called when the test says so."""

    now = NOW

    def __init__(self) -> None:
        self.clock = self
        self.due: list[Callable[[object], None]] = []

    def utc_now(self) -> datetime:
        return NOW

    def set_time_alert(self, _: str, __: datetime, callback: Callable[[object], None]) -> None:
        self.due.append(callback)


class _Writes:
    """A writer that remembers what was written as one."""

    path, node = Path(JOURNAL_FILE), "node"

    def __init__(self) -> None:
        self.written: list[list[str]] = []

    def write(self, rows: Sequence[tuple[str, str, str]]) -> list[int]:
        self.written.append([json.loads(payload)["market"] for _, _, payload in rows])
        return list(range(len(rows)))

    def stay(self) -> list[int]:
        return []

    def new_session(self) -> int:
        return 1

    def close(self) -> None:
        pass


def test_what_forty_orders_say_at_once_is_written_as_one_and_before_what_follows() -> None:
    writes, alarm = _Writes(), _Alarm()
    journal = StrategyJournal(BufferedJournal(writes))
    journal.follow(alarm)
    markets = [f"m{number}" for number in range(40)]
    for market in markets:
        journal.keep_all([("orders", {"market": market})])
    assert (writes.written, len(alarm.due)) == ([], 1)
    alarm.due.pop()(None)
    assert writes.written == [markets]
    journal.keep_all([("fills", {"market": "a"})])
    journal.keep_all([("signals", {"market": "b"})])  # a decision does not wait
    journal.keep_all([("fills", {"market": "c"})])
    journal.record_all([("signals", {"market": "d"})])  # nor does an entry
    assert writes.written[1:] == [["a", "b"], ["c", "d"]]
