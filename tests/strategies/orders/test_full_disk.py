"""A disk that fills up while a trade is on: nothing that reduces risk waits for the journal, every entry does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.backtest.worlds import MINUTE, START, A, flat
from tests.strategies.desk import ENTRIES, RISE, Desk, Rows
from trading_assets.core.errors import NodeError
from trading_assets.journal import BufferedJournal, Journal, check_journal, read_since
from trading_assets.journal.buffered import WRITTEN_LATE
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.recovery.from_journal import recover

END = START + timedelta(hours=3)
FALL: Rows = [*flat(40), (100, 100, 98, 98), *flat(160, 98)]


class Disk(BufferedJournal):
    """A real journal on a disk that is full from a moment on: SQLite gets no further page."""

    def __init__(self, path: Path) -> None:
        self.file = Journal(path, "node")
        self.full_after: str | None = None
        self.now = 0.0
        super().__init__(self.file, clock=lambda: self.now)

    def record_all(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[int]:
        written = super().record_all(events)
        self._perhaps_full(events)
        return written

    def keep_all(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        self.now += 1
        super().keep_all(events)
        self._perhaps_full(events)

    def _perhaps_full(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        if self.full_after in [f"{kind} {event.get('status', '')}".strip() for kind, event in events]:
            self.fill()

    def fill(self) -> None:
        self.full_after, connection = None, self.file._connection
        connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0]}")
        for size in (3000, 300, 30, 3):
            with suppress(NodeError):  # the disk is full
                for number in range(10_000):
                    self.file.record("node", {"event": "filler", "detail": f"{number:0{size}}"})

    def make_room(self) -> None:
        self.file._connection.execute("PRAGMA max_page_count=1000000")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with closing(Disk(tmp_path / "journal.sqlite")) as one:
        yield one


def written(disk: Disk) -> dict[str, list[dict[str, Any]]]:
    return {kind: frame.to_dicts() for kind, frame in read_since(disk.path, 0).items()}


@pytest.mark.parametrize(
    "full_after", ["orders initialized", "orders submitted", "fills", "orders accepted", "positions"]
)
@pytest.mark.parametrize(
    ("rows", "reason"), [(RISE + flat(30, 103), "take_profit"), (FALL, "stop_loss"), (flat(200), "time")]
)
def test_an_open_trade_keeps_stop_target_and_expiry(disk: Disk, full_after: str, rows: Rows, reason: str) -> None:
    desk = Desk(rows, journal=disk)  # type: ignore[arg-type]
    disk.full_after = full_after
    strategy = desk.start(ENTRIES)
    desk.run(START + 17 * MINUTE)
    assert disk.waiting, "the disk is full"
    plan = strategy.open_trades[A]
    resting = {order.client_order_id.value for order in desk.engine.cache.orders_open()}
    assert resting == {plan.stop_order_id, *plan.target_order_ids}
    desk.run(END)
    assert strategy.halted is None
    assert strategy.is_flat()
    assert desk.engine.cache.positions_open_count() == 0
    assert [row["action"] for row in written(disk)["signals"]] == ["enter"]

    disk.make_room()
    assert disk.flush(now=True)
    events = written(disk)
    closed = TradePlan.from_json(events["plans"][-1]["plan"])
    assert (closed.stage, closed.exit_reason) == ("closed", reason)
    assert [row["side"] for row in events["fills"]] == ["buy", "sell"]
    assert {row["action"] for row in events["signals"][1:]} <= {"hold", "refuse"}
    late = [row["detail"] for row in events["node"] if row["event"] == WRITTEN_LATE]
    assert len(late) == 1
    assert "disk is full" in late[0]
    assert recover(disk.path).repairs == ()
    assert check_journal(disk.path).damaged == ()


def test_without_a_journal_there_is_no_entry_and_with_room_there_is_one_again(disk: Disk) -> None:
    desk = Desk(flat(200), journal=disk)  # type: ignore[arg-type]
    strategy = desk.start(ENTRIES)
    disk.fill()
    desk.run(START + 50 * MINUTE)
    assert desk.engine.cache.orders() == []
    assert strategy.is_flat()
    assert "disk is full" in disk.complaint
    assert f"{disk.waiting} events wait in memory" in disk.complaint
    disk.make_room()
    desk.run(START + 70 * MINUTE)
    assert disk.complaint == ""
    signals = written(disk)["signals"]
    assert [row["action"] for row in signals] == ["refuse", "refuse", "refuse", "enter"]
    assert all("the journal cannot be used: database or disk is full" in row["reason"] for row in signals[:3])
    assert list(strategy.open_trades) == [A]


def test_flatten_closes_the_position_on_a_full_disk(disk: Disk) -> None:
    desk = Desk(flat(200), journal=disk)  # type: ignore[arg-type]
    strategy = desk.start(ENTRIES)
    desk.run(START + 17 * MINUTE)
    assert list(strategy.open_trades) == [A]
    disk.fill()
    strategy.flatten("kill")
    desk.run(START + 32 * MINUTE)
    assert strategy.is_flat()
    assert desk.engine.cache.positions_open_count() == 0


def test_a_trade_whose_fill_was_not_handled_is_protected_on_the_next_bar() -> None:
    desk = Desk(FALL)
    strategy = desk.start(ENTRIES)
    keeper, failing = strategy._trades, [True]
    entered = keeper._entered

    def fail_once(plan: TradePlan, order: Any) -> None:
        if failing:
            failing.clear()
            raise RuntimeError("a bug")
        entered(plan, order)

    keeper._entered = fail_once  # type: ignore[method-assign]
    desk.run(END)
    assert strategy.halted is not None
    assert desk.plans()[-1].exit_reason == "stop_loss"
    assert strategy.is_flat()


def test_what_could_not_be_written_when_the_process_ends_is_said(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    disk.fill()
    disk.keep_all([("fills", {"market": A, "order_id": "O-1", "trade_id": "T-1"})])
    disk.close()
    assert "lost with this process" in caplog.text
    assert "O-1" in caplog.text
