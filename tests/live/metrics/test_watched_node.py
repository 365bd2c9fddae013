"""A node as a process: scraped while it trades, by a thread that the engine does not wait for."""

from __future__ import annotations

import signal
import urllib.request
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import desk, finish, wait_for
from tests.live.metrics.world import Scrape
from trading_live.metrics import catalogue

ON_OCCASION = {
    "trading_market_untrusted",
    "trading_node_clock_skew_seconds",  # not in a replay
    "trading_node_engine_queue_length",
    "trading_node_reconnects_total",
    "trading_reconciliation_age_seconds",
    "trading_reconciliation_differences",
    "trading_risk_hold",
    "trading_unrealized_pnl",
}
"""Shown where there is something to show."""


@pytest.mark.slow
def test_a_node_is_scraped_while_it_trades(tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle) -> None:
    with desk(tmp_path, live_store_file, speed=1800, hours=24, further={"TRADING_NODE__METRICS_PORT": "0"}) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        process = one.start()

        def scrape() -> Scrape:
            with urllib.request.urlopen(one.told("metrics served")[0], timeout=60) as answer:
                return Scrape.of(answer.read().decode())

        def realised() -> Scrape | None:
            """The page of a second is there a second later."""
            page = scrape()
            return page if 'trading_realized_pnl{currency="USDT"}' in page else None

        try:
            wait_for(lambda: one.told("metrics served"), while_alive=process)
            wait_for(lambda: "closed" in one.journal()["positions"]["event"], while_alive=process)
            journal = one.journal()
            said = wait_for(realised, while_alive=process)
        finally:
            process.send_signal(signal.SIGINT)
            code, output = finish(process)
        assert code == 0, output
        entered = journal["signals"].filter(pl.col("action") == "enter").height
        assert said['trading_decisions_total{action="enter",model="syna"}'] >= entered > 0
        fills = sum(value for name, value in said.series.items() if name.startswith("trading_fills_total"))
        assert fills >= journal["fills"].height
        assert said['trading_node_state{state="trading"}'] == 1
        assert said['trading_node_connections{state="connected"}'] >= 1
        assert said[f'trading_bar_age_seconds{{market="{MARKET}"}}'] < 60
        for stage in ("bar_to_decision", "decision_to_order", "bar_to_order", "journal_write", "order_to_ack"):
            assert said[f'trading_latency_seconds_count{{stage="{stage}"}}'] > 0, stage
        assert said["trading_node_page_incomplete"] == 0
        assert said["process_resident_memory_bytes"] > 0
        unseen = {metric.name for metric in catalogue.NODE.metrics} - said.names()
        assert unseen <= ON_OCCASION
