"""Candles through labels: what a run leaves, however it was cut or interrupted."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tests.defs.small import MONTHS, NOISE, SMALL, SYNA, Location, Undisturbed, assert_same_tables, fill, part, tables
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import lookback_bars
from trading_assets.settings import DEFAULT_LABELS, Settings
from trading_assets.store import Store, Table, open_store
from trading_assets.store.tables import BARS, CANDLES, CANDLES_QUARANTINE, FEATURES, LABELS

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)


def test_a_run_over_all_months_fills_every_table(undisturbed: Undisturbed) -> None:
    for market, result in undisturbed.results.items():
        assert result.success
        for name, frame in tables(undisturbed.store, market).items():
            assert frame.height > 50, name
    assert undisturbed.store.read(CANDLES_QUARANTINE).height > 0


def test_each_partition_shows_its_own_row_count_and_the_sum_is_what_is_stored(undisturbed: Undisturbed) -> None:
    for market, result in undisturbed.results.items():
        for name, frame in tables(undisturbed.store, market).items():
            shown = {
                event.partition: event.materialization.metadata["dagster/row_count"].value
                for event in result.get_asset_materialization_events()
                if event.asset_key == dg.AssetKey(name)
            }
            assert set(shown) == {f"{market}|{month}" for month in MONTHS}
            assert sum(shown.values()) == frame.height, name


def test_every_materialization_says_that_the_sample_is_synthetic_and_shows_a_preview(undisturbed: Undisturbed) -> None:
    for result in undisturbed.results.values():
        for event in result.get_asset_materialization_events():
            metadata = event.materialization.metadata
            assert "SYNTHETIC" in str(metadata["data"].value)
            assert "preview" in metadata


def test_the_first_partition_has_features_from_the_first_full_look_back_on(undisturbed: Undisturbed) -> None:
    bars = undisturbed.store.read(BARS["15m"], where={"market": SYNA})
    features = undisturbed.store.read(FEATURES, where={"market": SYNA})
    assert features["ts"][0] == bars["ts"][LOOKBACK_BARS - 1]
    assert features.height == bars.height - LOOKBACK_BARS + 1


def test_a_labels_month_holds_the_bars_whose_horizon_ends_in_it(undisturbed: Undisturbed) -> None:
    labels = undisturbed.store.read(LABELS, where={"market": SYNA})
    horizon = timedelta(minutes=15 * undisturbed.settings.labels[DEFAULT_LABELS].horizon_bars)
    assert (labels["known_at"] + horizon).max() == datetime(2025, 3, 20, tzinfo=UTC)


def test_running_months_again_in_any_order_leaves_the_same_rows(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    for first, last in (("2025-03", "2025-03"), ("2025-01", "2025-02"), ("2025-02", "2025-03")):
        assert location.run(settings, "market_data", tags=location.months(SYNA, first, last)).success
    assert_same_tables(open_store(settings.store_url), undisturbed.store, SYNA)


def test_a_run_over_several_markets_is_one_run(location: Location, undisturbed: Undisturbed, tmp_path: Path) -> None:
    partitions = location.module("lib.partitions")
    settings = location.settings(tmp_path)
    tags = partitions.range_tags(partitions.partition_key(SYNA, "2025-01"), partitions.partition_key(NOISE, "2025-01"))
    assert location.run(settings, "market_data", tags=tags).success
    for market in (SYNA, NOISE):
        candles = undisturbed.store.read(CANDLES, where={"market": market}, end=datetime(2025, 2, 1, tzinfo=UTC))
        assert open_store(settings.store_url).read(CANDLES, where={"market": market}).equals(candles)


def test_irregular_months_of_several_markets_become_contiguous_windows(location: Location) -> None:
    partitions = location.module("lib.partitions")
    settings = location.settings(Path("unused"))
    keys = [f"{NOISE}|2025-03", f"{SYNA}|2025-01", f"{NOISE}|2025-01", f"{SYNA}|2025-02", f"{SYNA}|2025-01"]
    windows = [(w.market, w.start, w.end, len(w.keys)) for w in partitions.windows(keys, settings)]
    assert windows == [
        (NOISE, datetime(2025, 1, 10, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC), 1),
        (NOISE, datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 20, tzinfo=UTC), 1),
        (SYNA, datetime(2025, 1, 10, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC), 2),
    ]


def with_an_outage_over_midnight(location: Location, undisturbed: Undisturbed, folder: Path) -> Settings:
    """Settings whose market is read from a file in which the turn from January to February is missing."""
    outage = pl.col("ts").is_between(datetime(2025, 1, 31, 21, 7, tzinfo=UTC), datetime(2025, 2, 1, 2, 33, tzinfo=UTC))
    candles = undisturbed.store.read(CANDLES, where={"market": SYNA}).filter(~outage)
    file = folder / "candles.parquet"
    candles.drop("market", "timeframe").write_parquet(file)
    return location.settings(
        folder,
        sources={"disk": {"kind": "files", "paths": {SYNA: str(file)}}},
        markets={SYNA: {"source": "disk"}, NOISE: {"source": "disk"}},
    )


def test_months_run_one_by_one_equal_months_run_at_once_also_with_an_outage_over_the_turn_of_a_month(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    at_once = with_an_outage_over_midnight(location, undisturbed, tmp_path)
    one_by_one = at_once.model_copy(update={"data_dir": tmp_path / "one_by_one"})
    fill(location, at_once, SYNA, MONTHS[0], MONTHS[-1])
    for month in MONTHS:
        fill(location, one_by_one, SYNA, month, month)
    assert_same_tables(open_store(at_once.store_url), open_store(one_by_one.store_url), SYNA)


@pytest.mark.slow
def test_a_backfill_killed_on_the_way_and_run_again_leaves_what_an_undisturbed_run_leaves(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    program = (
        "import os, signal, threading\n"
        "from pathlib import Path\n"
        "from trading_assets import launch\n"
        "from trading_assets.settings import load_settings\n"
        "def tell(event):\n"
        "    if (event.kind, event.step) == ('started', 'features'):\n"  # tests/cli kills it among the candles
        "        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
        f"settings = load_settings(Path({str(SMALL)!r}), data_dir=Path({str(tmp_path)!r}))\n"
        f"list(launch.materialize_markets(settings, ['{SYNA}'], on_event=tell))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL

    settings = location.settings(tmp_path)
    results = list(location.launch.materialize_markets(settings, [SYNA]))
    assert [result.success for result in results] == [True]
    assert_same_tables(open_store(settings.store_url), undisturbed.store, SYNA)
    statuses = {run.run_id: run.status for run in location.launch.open_instance(settings).get_runs()}
    assert statuses.pop(results[0].run_id) == dg.DagsterRunStatus.SUCCESS
    assert list(statuses.values()) == [dg.DagsterRunStatus.FAILURE], "the killed run is not shown as running"


class Overheard:
    """A store that notes how far back each table is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.first: dict[str, datetime] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, table: Table, **window: Any) -> pl.DataFrame:
        return self._note(table, self._store.read(table, **window))

    def tail(self, table: Table, **window: Any) -> pl.DataFrame:
        return self._note(table, self._store.tail(table, **window))

    def _note(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        time = next((column for column in ("ts", "known_at") if column in frame.columns), None)
        if time and frame.height:
            self.first[table.name] = min(frame[time][0], self.first.get(table.name, frame[time][0]))
        return frame


@pytest.mark.parametrize("name", ["features", "labels"])
def test_a_month_reads_nothing_before_the_months_that_its_lineage_names(
    location: Location, undisturbed: Undisturbed, tmp_path: Path, name: str
) -> None:
    settings = location.settings(tmp_path)
    shutil.copy(undisturbed.settings.data_dir / "market.duckdb", settings.data_dir / "market.duckdb")
    store = Overheard(open_store(settings.store_url))
    asset = part(location.of(settings), name)
    march = location.module("lib.partitions").partition_key(SYNA, "2025-03")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset], instance=instance, partition_key=march, resources={"settings": settings, "store": store}
        )
    assert result.success
    market_months = location.partitions.market_months
    for upstream in {dep.asset_key for dep in next(iter(asset.specs)).deps}:
        months = asset.get_partition_mapping(upstream).get_upstream_mapped_partitions_result_for_partitions(
            market_months.subset_with_partition_keys([march]),
            market_months,
            market_months,
        )
        first = min(key.rsplit("|", 1)[1] for key in months.partitions_subset.get_partition_keys())
        assert f"{store.first[upstream.to_user_string()]:%Y-%m}" >= first
