"""What the node tells itself: its events, a journal in trouble, trades without a stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.alerts.receiver import TOKEN, Receiver, receiving, told_by
from trading_assets.alerts.desk import NOT_SENT
from trading_assets.alerts.state_file import StateFile
from trading_assets.journal import JOURNAL_FILE, NODE, BufferedJournal, Journal, read_session
from trading_assets.settings import Settings, load_settings
from trading_live.node.alerts import NodeAlerts
from trading_live.node.journal.pulse import Pulse
from trading_live.operations.heartbeat import NodeLock

MARKET = "binance:BTC/USDT:USDT"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as one:
        monkeypatch.setenv("CHAT_ALERT_URL", one.url)
        yield one


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not done():
        assert time.monotonic() < end, "waited for five minutes"
        time.sleep(0.01)


def a_pulse(settings: Settings, alerts: NodeAlerts) -> tuple[Pulse, BufferedJournal]:
    settings.live_dir.mkdir(parents=True, exist_ok=True)
    journal = BufferedJournal(Journal(settings.live_dir / JOURNAL_FILE, "paper-live"))
    return Pulse(settings.node, NodeLock(settings.live_dir), journal, (), alerts=alerts), journal


def test_a_node_event_arrives_and_what_does_not_is_journalled(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHONE_ALERT_URL", f"json://127.0.0.1:1/{TOKEN}")
    channels = {name: {"url_variable": f"{name.upper()}_ALERT_URL"} for name in ("chat", "phone")}
    settings = told_by(load_settings(data_dir=tmp_path), channels=channels)
    alerts = NodeAlerts(settings, "paper-live")
    pulse, journal = a_pulse(settings, alerts)

    def journalled() -> list[str]:
        pulse.beat("trading")
        events = read_session(journal.path)[NODE]
        return [row["detail"] for row in events.iter_rows(named=True) if row["event"] == NOT_SENT]

    with alerts.sending():
        pulse.warn("feed silent", f"{MARKET}: silent: no 1m bar since 12:00:00")
        pulse.tell("bars counted", "what nobody is told")
        wait_for(lambda: bool(journalled()))
    (first, *_) = receiver.titles
    assert first == f"CRITICAL: feed silent: {MARKET}: silent: no 1m bar since 12:00:00 (node paper-live)"
    assert all("channel phone: " in detail and TOKEN not in detail for detail in journalled())


def test_without_channels_a_node_tells_nobody(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    alerts = NodeAlerts(settings, "paper-live")
    pulse, _ = a_pulse(settings, alerts)
    with alerts.sending():
        pulse.tell("halted", "too many losses")
        pulse.beat("trading")
    assert not (tmp_path / "alerts.json").exists()


def test_a_journal_in_trouble_and_its_end_are_told_once(tmp_path: Path, receiver: Receiver) -> None:
    alerts = NodeAlerts(told_by(load_settings(data_dir=tmp_path)), "paper-live")
    with alerts.sending():
        for waiting in (3, 4, 9):
            alerts.beat(f"the disk is full; {waiting} events wait in memory", None)
        alerts.beat("", None)
        alerts.beat("", None)
        wait_for(lambda: len(receiver.got) == 2)
    assert receiver.titles == [
        "CRITICAL: no entries: the disk is full; 3 events wait in memory (node paper-live)",
        "over: the journal is written again",
    ]


def test_a_trade_without_a_stop_is_told_after_some_seconds_and_its_protection_too(
    tmp_path: Path, receiver: Receiver
) -> None:
    now, orders = [0.0], dict[str, Any]()
    plan = SimpleNamespace(market=MARKET, stage="open", stop_order_id="stop-1", exit_order_id=None)
    cache = SimpleNamespace(order=lambda one: orders.get(str(one)))
    strategy: Any = SimpleNamespace(open_trades={MARKET: plan}, vanished={}, cache=cache)
    alerts = NodeAlerts(told_by(load_settings(data_dir=tmp_path)), "live-live", monotonic=lambda: now[0])
    with alerts.sending():
        for at in (0.0, 4.0):
            now[0] = at
            alerts.beat("", strategy)
        orders["stop-1"] = SimpleNamespace(is_closed=False)
        now[0] = 5.0
        alerts.beat("", strategy)
        orders.clear()
        for at in (10.0, 14.0, 15.0, 16.0, 36.0):
            now[0] = at
            alerts.beat("", strategy)
        wait_for(lambda: len(receiver.got) == 1)
        wait_for(lambda: StateFile(tmp_path).read().matters[f"node/unprotected/{MARKET}"].count >= 1)
        orders["stop-1"] = SimpleNamespace(is_closed=False)
        alerts.beat("", strategy)
        wait_for(lambda: len(receiver.got) == 2)
    assert receiver.titles == [
        f"CRITICAL: {MARKET}: open without a stop at the venue (node live-live)",
        f"over: {MARKET}: protected again",
    ]
