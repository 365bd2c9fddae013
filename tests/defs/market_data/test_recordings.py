"""The recorder's way into the tables through the graph."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from tests.defs.small import Location
from trading_assets.recordings import Spool, spool_folder
from trading_assets.settings import Settings
from trading_assets.store import open_store
from trading_assets.store.tables import PUBLIC_TRADES

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
MARKET = "binance:BTC/USDT:USDT"


def write_segment(settings: Settings, first: int, count: int) -> None:
    rows = [
        (MARKET, NOON + timedelta(seconds=number), NOON + timedelta(seconds=number), str(number), 1.0, 1.0, "buy")
        for number in range(first, first + count)
    ]
    spool = Spool(spool_folder(settings) / "binance-live")
    spool.write({PUBLIC_TRADES.name: pl.DataFrame(rows, schema=PUBLIC_TRADES.columns, orient="row")})
    spool.close()


def tick(location: Location, settings: Settings, instance: dg.DagsterInstance) -> dg.SensorExecutionData:
    context = dg.build_sensor_context(instance=instance, definitions=location.defs, resources={"settings": settings})
    data: dg.SensorExecutionData = location.module("market_data.recordings").recordings_ingest.evaluate_tick(context)
    return data


def test_segments_are_loaded_once_and_the_run_tells_what_was_new(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    store = open_store(settings.store_url)
    for first, new, repeated, total in ((0, 10, 0, 10), (5, 5, 5, 15)):
        write_segment(settings, first, 10)
        result = location.run(settings, "load_recordings")
        assert result.success
        assert store.read(PUBLIC_TRADES).height == total
        (event,) = [
            event
            for event in result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey("public_trades")
        ]
        facts = {name: value.value for name, value in event.materialization.metadata.items()}
        assert (facts["new_rows"], facts["repeated_rows"], facts["dagster/row_count"]) == (new, repeated, total)
        assert MARKET in str(facts["markets"])


def test_without_recordings_the_tables_are_empty_and_the_sensor_skips(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        assert location.run(settings, "load_recordings", instance=instance).success
        data = tick(location, settings, instance)
    assert not data.run_requests
    assert "closed no segment" in str(data.skip_message)


def test_the_sensor_asks_for_a_load_when_a_segment_was_closed(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        write_segment(settings, 0, 1)
        first = tick(location, settings, instance).run_requests
        assert len(first or []) == 1
        assert location.run(settings, "load_recordings", instance=instance).success
        assert not tick(location, settings, instance).run_requests
        write_segment(settings, 1, 1)
        second = tick(location, settings, instance).run_requests
    assert {one.run_key for one in first or []}.isdisjoint(one.run_key for one in second or [])
