"""The journal's way into the tables, and what tells of failures."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from tests.alerts.receiver import receiving, told_by
from tests.defs.small import SYNA, Location
from trading_assets.journal import JOURNAL_FILE, Journal
from trading_assets.settings import Settings
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, FILLS, FUNDING_RATES, LIVE_FUNDING, PERFORMANCE_SUMMARY, SIGNALS

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def write_journal(settings: Settings, fills: int) -> None:
    """A signal and its fills; fills written before are not written again."""
    journal = Journal(settings.live_dir / JOURNAL_FILE, "paper")
    journal.record(
        "signals",
        {"ts": NOON, "market": SYNA, "signal_id": "s1", "bar_ts": NOON, "probability": 0.7, "threshold": 0.55}
        | {"action": "enter", "reason": "", "model": "syna", "model_version": 1, "bundle_hash": "0"},
    )
    for number in range(fills):
        journal.record(
            "fills",
            {"ts": NOON, "market": SYNA, "order_id": f"o{number}", "trade_id": f"t{number}", "signal_id": "s1"}
            | {"side": "BUY", "quantity": 1.0, "price": 100.0, "fee": 0.05, "fee_currency": "USDT"},
        )
    journal.close()


def tick(
    location: Location, settings: Settings, instance: dg.DagsterInstance, cursor: str | None = None
) -> dg.SensorExecutionData:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=location.defs, resources={"settings": settings}
    )
    data: dg.SensorExecutionData = location.module("orchestration.sensors").journal_ingest.evaluate_tick(context)
    return data


def test_the_journal_is_loaded_exactly_once_and_summed_up(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    store = open_store(settings.store_url)
    for fills in (2, 3, 3):
        write_journal(settings, fills)
        result = location.run(settings, "load_journal")
        assert result.success
        assert store.read(SIGNALS).height == 1
        assert store.read(FILLS).height == fills
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey("fills")]
    assert event.materialization.metadata["new_rows"].value == 0
    (summary,) = store.read(PERFORMANCE_SUMMARY).to_dicts()
    assert (summary["model"], summary["fills"], summary["signals_taken"]) == ("syna", 3, 1)


def test_funding_of_the_nodes_positions_is_booked_and_in_the_sum(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    store = open_store(settings.store_url)
    entry, due, out = (NOON - timedelta(hours=hours) for hours in (5, 4, 3))
    candles = pl.DataFrame(
        [(SYNA, "1m", entry + n * timedelta(minutes=1), *[100.0 + n / 60] * 4, 1.0) for n in range(180)],
        schema=CANDLES.columns,
        orient="row",
    )
    store.upsert(CANDLES, candles)
    store.upsert(
        FUNDING_RATES,
        pl.DataFrame([(SYNA, due, due, 0.0004, 8.0, None)], schema=FUNDING_RATES.columns, orient="row"),
    )
    journal = Journal(settings.live_dir / JOURNAL_FILE, "paper")
    signal = {"ts": entry, "market": SYNA, "signal_id": "s1", "bar_ts": entry, "probability": 0.7, "threshold": 0.55}
    signal |= {"action": "enter", "reason": "", "model": "syna", "model_version": 1, "bundle_hash": "0"}
    journal.record("signals", signal)
    for number, (at, side) in enumerate(((entry, "sell"), (out, "buy"))):
        fill = {"ts": at, "market": SYNA, "order_id": f"o{number}", "trade_id": f"t{number}", "signal_id": "s1"}
        fill |= {"side": side, "quantity": 2.0, "price": 100.0, "fee": 0.0, "fee_currency": "USDT"}
        journal.record("fills", fill)
    closed = {"ts": out, "market": SYNA, "position_id": "p", "event": "closed", "quantity": 0.0, "signal_id": "s1"}
    journal.record("positions", closed | {"average_price": 100.0, "realized_pnl": -5.0})
    journal.close()
    for _ in range(2):  # again is the same
        assert location.run(settings, "load_journal").success
        (booked,) = store.read(LIVE_FUNDING).to_dicts()
        price = 100.0 + 59 / 60  # the last close before: of the candle that ends with the payment
        assert (booked["quantity"], booked["price"], booked["assumed"]) == (-2.0, pytest.approx(price), False)
        assert booked["amount"] == pytest.approx(0.0004 * 2 * price, abs=1e-8), "a short receives a positive rate"
        (summary,) = store.read(PERFORMANCE_SUMMARY).to_dicts()
        assert summary["funding"] == booked["amount"]
        assert summary["realized_pnl"] == pytest.approx(-5.0 + booked["amount"])


def test_without_a_journal_the_tables_are_empty_and_the_sensor_skips(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        assert location.run(settings, "load_journal", instance=instance).success
        data = tick(location, settings, instance)
    assert not data.run_requests
    assert "nothing new" in str(data.skip_message)


def test_the_journal_sensor_asks_for_one_load_each_time_the_journal_has_grown(
    location: Location, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        write_journal(settings, 1)
        first = tick(location, settings, instance)
        assert len(first.run_requests or []) == 1
        assert not tick(location, settings, instance, first.cursor).run_requests
        assert location.run(settings, "load_journal", instance=instance).success
        assert not tick(location, settings, instance).run_requests, "loaded by another way than the sensor's"
        write_journal(settings, 2)
        second = tick(location, settings, instance, first.cursor)
        assert len(second.run_requests or []) == 1
        assert {r.run_key for r in second.run_requests or []}.isdisjoint(r.run_key for r in first.run_requests or [])


def test_a_failed_run_is_told_with_its_partition_and_reason(
    location: Location, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = location.settings(tmp_path, gates={"min_trades": 1})
    with dg.DagsterInstance.ephemeral() as instance, receiving() as receiver:
        monkeypatch.setenv("CHAT_ALERT_URL", receiver.url)
        result = location.run(settings, "retrain", instance=instance, partition="syna")
        assert not result.success
        sensor = location.module("orchestration.sensors").run_failure_alert
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_alert",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"settings": told_by(settings)},
        ).for_run_failure()
        with caplog.at_level(logging.ERROR, logger="trading.alerts"):
            sensor(context)
    (record,) = [record for record in caplog.records if record.name == "trading.alerts"]
    message = record.getMessage()
    assert "retrain syna failed: walk_forward: " in message
    assert "no labelled rows" in message
    assert result.run_id in message
    (title,) = receiver.titles
    assert title.startswith(f"WARNING: run {result.run_id} of retrain syna failed: walk_forward: ")
