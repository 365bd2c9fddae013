"""What a scrape of a node says: numbers of the strategy's own trades, none that may hold it up or stop it."""

from __future__ import annotations

import gc
import logging
import re
import socket
import sys
import urllib.request
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.backtest.worlds import START, A, flat
from tests.live.metrics.conftest import Make
from tests.live.metrics.world import Scrape, World
from trading_assets.monitoring.exported import catalogue as data_catalogue
from trading_assets.monitoring.exported.page import MOST_SERIES, Catalogue, Metric, Page
from trading_assets.settings import PROJECT_ROOT, NodeSettings, Settings
from trading_assets.strategies.signals import ClosedBar
from trading_live.metrics import catalogue
from trading_live.metrics.choice import Unwatched, metrics_of
from trading_live.metrics.counting import MOST_EVENTS, Counts
from trading_live.metrics.describe import metrics_markdown
from trading_live.metrics.server import serving

RISE = [*flat(20), (100, 101, 100, 101), *flat(30, 101), (101, 103, 101, 103), *flat(200, 103)]
"""Entered at 100, worth 101 for half an hour, then the target at 102 is reached."""


def test_a_trade_is_counted_and_measured_from_its_entry_to_its_end(world: Make) -> None:
    node = world(rows=RISE)
    node.run(0.75)
    held = node.scrape()
    quantity = held[f'trading_position_quantity{{market="{A}"}}']
    assert quantity == pytest.approx(100, rel=0.01)  # a tenth of 100,000 at 100
    assert held[f'trading_position_notional{{market="{A}"}}'] == pytest.approx(quantity * 101)
    assert held[f'trading_position_unrealized_pnl{{market="{A}"}}'] == pytest.approx(quantity, rel=0.01)
    assert held['trading_exposure_notional{side="long"}'] == pytest.approx(quantity * 101)
    assert held["trading_leverage_ratio"] == pytest.approx(0.1, rel=0.02)
    assert held['trading_orders{state="accepted"}'] == 2  # stop and target rest
    assert held[f'trading_position_unprotected_seconds{{market="{A}"}}'] == 0
    assert held['trading_equity{currency="USDT"}'] > 100_000
    assert held['trading_unrealized_pnl{currency="USDT"}'] == pytest.approx(quantity, rel=0.01)
    node.run(2.25)
    ended = node.scrape()
    assert ended[f'trading_position_quantity{{market="{A}"}}'] == 0
    assert ended['trading_fills_total{side="buy"}'] == ended['trading_fills_total{side="sell"}'] == 1
    assert ended['trading_trades_closed_total{result="won"}'] == 1
    assert ended["trading_traded_notional_total"] == pytest.approx(quantity * 202, rel=0.01)
    assert ended['trading_fees_paid{currency="USDT"}'] == pytest.approx(quantity * (100 * 5 + 102 * 2) / 1e4, rel=0.01)
    assert ended["trading_daily_realized_pnl"] == pytest.approx(2 * quantity, rel=0.05)
    assert ended['trading_decisions_total{action="enter",model="m"}'] == 1
    assert ended['trading_order_events_total{purpose="take_profit",status="filled"}'] == 1
    for stage, count in {"bar_to_decision": 1, "decision_to_order": 1, "bar_to_order": 1, "order_to_ack": 3}.items():
        assert ended[f'trading_latency_seconds_count{{stage="{stage}"}}'] == count, stage
    assert ended['trading_bars_total{timeframe="15m"}'] == 11


def test_drawdown_is_measured_from_the_peak_with_open_trades(world: Make) -> None:
    node = world(rows=[*flat(20), (100, 101.9, 100, 101.9), *flat(40, 101.9), *flat(200, 99.5)], share=1.0)
    node.run(1)
    before = node.scrape()
    node.run(0.75)
    after = node.scrape()
    assert before['trading_drawdown_ratio{currency="USDT"}'] == 0
    assert after['trading_equity_peak{currency="USDT"}'] == before['trading_equity{currency="USDT"}']
    assert after['trading_drawdown_ratio{currency="USDT"}'] == pytest.approx(2.4 / 101.9, rel=0.05)


def test_the_page_says_what_the_heartbeat_says_and_ages_grow_while_the_engine_hangs(world: Make) -> None:
    node = world()
    node.run(1)
    said = node.scrape()
    assert said['trading_node_state{state="managing"}'] == 1  # no model is deployed
    assert said['trading_node_state{state="trading"}'] == 0
    assert said['trading_models{state="in_use"}'] == 0
    assert said["trading_node_market_timestamp_seconds"] == (START + timedelta(minutes=45)).timestamp()
    assert said[f'trading_bar_limit_seconds{{market="{A}"}}'] == 15 * 60 + 150
    assert said["trading_node_page_incomplete"] == 0
    page = node.metrics.page
    begun = page.begun[catalogue.HEARTBEAT_AGE][()]
    shown = dict(page.at(begun + 60.0))
    assert shown[catalogue.HEARTBEAT_AGE][()] == 60.0


def test_every_series_is_one_of_the_catalogue_and_of_the_client(world: Make) -> None:
    node = world(rows=RISE)
    node.run(3)
    names = {metric.name for metric in catalogue.NODE.metrics}
    assert {name for name in node.scrape().names() if name.startswith("trading_")} <= names


@pytest.mark.parametrize("metric", catalogue.NODE.metrics, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert metric.name.startswith("trading_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.help.endswith(".")
    assert "market" not in metric.labels or len(metric.labels) <= 2  # markets times few
    assert not {"signal_id", "order_id", "reason", "detail"} & set(metric.labels)


@pytest.mark.parametrize("module", [catalogue, data_catalogue], ids=["node", "data"])
def test_every_declared_metric_is_set_somewhere(module: ModuleType) -> None:
    rooms = ("trading_live/metrics", "trading_assets/monitoring/exported", "trading_assets/defs/monitoring")
    files = [file for room in rooms for file in (PROJECT_ROOT / room).glob("*.py") if file.name != "catalogue.py"]
    used = set(re.findall(r"\b(?:m|catalogue)\.([A-Z_]+)\b", "\n".join(file.read_text() for file in files)))
    declared = {name for name, value in vars(module).items() if isinstance(value, Metric)}
    assert declared <= used


def test_a_metric_has_a_bounded_number_of_series() -> None:
    page, metric = Page(), Catalogue().gauge("trading_x", "X.", "market")
    for number in range(MOST_SERIES + 5):
        page.set(metric, number, f"m{number}")
    page.set(metric, 7, "m0")
    assert len(page.values[metric]) == MOST_SERIES
    assert page.values[metric]["m0",] == 7
    assert page.dropped == 5
    counts = Counts(registry := CollectorRegistry())
    for number in range(MOST_EVENTS + 50):
        counts.told(f"event {number}")
    told = [one for family in registry.collect() if family.name == "trading_node_events" for one in family.samples]
    assert len(told) == MOST_EVENTS + 1
    assert [one.value for one in told if one.labels["event"] == "other"] == [50]


def test_an_error_in_counting_or_reading_stops_no_trade_and_is_shown(
    world: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world(rows=RISE)
    monkeypatch.setattr(node.metrics.counts, "heard", None)
    with caplog.at_level(logging.ERROR):
        node.run(3)
        said = node.scrape()
        node.scrape()
    assert node.strategy.halted is None
    assert said['trading_trades_closed_total{result="won"}'] == 1
    assert said["trading_node_page_incomplete"] == 1
    assert sum("metrics" in record.message for record in caplog.records if record.name.endswith("node_metrics")) == 1


def test_what_engines_counted_is_kept_when_the_next_one_begins(world: Make) -> None:
    node = world()
    node.loader.missed, node.loader.recovered = 7, 5
    assert node.scrape()["trading_bars_missed_total"] == 7
    node.metrics.end_run()
    assert node.scrape("connecting")["trading_bars_missed_total"] == 7
    assert node.scrape("connecting")["trading_bars_recovered_total"] == 5


def test_the_page_of_metrics_is_current() -> None:
    page = PROJECT_ROOT / "docs" / "reference" / "metrics-exported.md"
    assert page.read_text() == metrics_markdown(), "run python -m trading_live.metrics.describe"


# -- served ------------------------------------------------------------------------------------------------------------


def test_a_page_is_served_on_this_machine_alone_and_a_taken_port_is_told_and_stops_nothing(world: Make) -> None:
    node: World = world()
    told: list[tuple[str, str]] = []
    node.scrape()
    with node.metrics.serving(lambda *one: told.append(one)) as port:
        assert told == [("metrics served", f"http://127.0.0.1:{port}/metrics")]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert Scrape.of(answer.read().decode())["trading_node_kill_switch"] == 0
        with serving(node.metrics.registry, "127.0.0.1", port, lambda *one: told.append(one)) as second:
            assert second is None
    assert told[1][0] == "metrics not served"
    assert f"127.0.0.1:{port}" in told[1][1]
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port or 0), timeout=30):
        pass


def test_without_a_port_nothing_is_counted(settings: Settings, world: Make) -> None:
    assert NodeSettings().metrics_port is None
    assert NodeSettings().metrics_host == "127.0.0.1"
    node = world()
    unwatched = metrics_of(settings, node.journal)
    assert isinstance(unwatched, Unwatched)
    assert unwatched.journal(node.journal) is node.journal
    with unwatched.serving(node.pulse.tell) as port:
        assert port is None


def test_counting_a_bar_costs_microseconds() -> None:
    """No limit on this machine's clock: that it is few calls is what can be asserted; the figure is in the docs."""
    counts = Counts(CollectorRegistry())
    bar = ClosedBar(A, "15m", START, START + timedelta(minutes=15), 1.0, 1.0, 1.0, 1.0, 1.0)
    calls: list[Any] = []

    def traced(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    counts.bar(bar, 0)
    gc.disable()  # what others have hung on the collection of garbage is not the bar's
    sys.setprofile(traced)
    try:
        counts.bar(bar, 0)
    finally:
        sys.setprofile(None)
        gc.enable()
    assert len(calls) < 25, calls
