"""The real webserver and daemon: a backfill launched through the API that the UI uses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from trading_assets.settings import PROJECT_ROOT, load_settings
from trading_assets.settings.dagster_home import dagster_environment
from trading_assets.store import TABLES, open_store

SETTINGS = Path(__file__).with_name("three_months.yaml")
MARKETS = ("sample:SYNA/USDT:USDT", "sample:NOISE/USDT:USDT")
MONTHS = ("2025-01", "2025-02", "2025-03")
ASSETS = (
    *("candles", "candles_quarantine", "candle_revisions", "candle_gaps"),
    *("bars_15m", "features", "labels"),
)

LAUNCH = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
PROGRESS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs { status tags { key value } } }
  }
}
"""
LOCATION = """
{
  workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } }
  sensorsOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "trading"}) {
    ... on Sensors { results { name sensorState { status } } }
  }
}
"""


@dataclass(frozen=True)
class Served:
    """A running webserver."""

    port: int
    data_dir: Path

    @property
    def log(self) -> Path:
        return self.data_dir / "dagster.log"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            content: dict[str, Any] = json.load(answer)
        assert "errors" not in content, content
        data: dict[str, Any] = content["data"]
        return data


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The webserver on the project's own workspace.yaml and dagster.yaml."""
    served = Served(free_port(), tmp_path)
    with started(served, "dagster-webserver", "-h", "127.0.0.1", "-p", str(served.port)) as process:
        yield wait_until_loaded(served, process)


@contextmanager
def started(served: Served, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of Dagster's programs, until the block ends."""
    environment = (
        os.environ | dagster_environment(load_settings(data_dir=served.data_dir)) | {"TRADING_SETTINGS": str(SETTINGS)}
    )
    with served.log.open("ab") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(program), *arguments, "-w", "workspace.yaml"],
            env=environment,
            cwd=PROJECT_ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(300)
            finally:
                with_suppressed_kill(process.pid)


def with_suppressed_kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_until_loaded(served: Served, process: subprocess.Popen[bytes]) -> Served:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert process.poll() is None, served.log.read_text()[-3000:]
        try:
            (entry,) = served.ask(LOCATION)["workspaceOrError"]["locationEntries"]
        except OSError:
            time.sleep(0.5)
            continue
        assert entry == {"name": "trading", "loadStatus": "LOADED"}
        return served
    raise AssertionError("the webserver did not come up")


@pytest.mark.slow
def test_a_backfill_of_two_markets_and_three_months_makes_at_most_two_runs_per_market(served: Served) -> None:
    sensors = served.ask(LOCATION)["sensorsOrError"]["results"]
    assert {s["name"]: s["sensorState"]["status"] for s in sensors} == {
        "alert_watch": "RUNNING",
        "follow_data": "STOPPED",
        "journal_ingest": "RUNNING",
        "other_months": "RUNNING",
        "recordings_ingest": "RUNNING",
        "promotion": "RUNNING",
        "challenger_promotion": "RUNNING",
        "retrain_on_drift": "STOPPED",
        "run_failure_alert": "RUNNING",
    }
    params = {
        "assetSelection": [{"path": [name]} for name in ASSETS],
        "partitionNames": [f"{market}|{month}" for market in MARKETS for month in MONTHS],
    }
    launched = served.ask(LAUNCH, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    # The daemon looks for backfills when it starts, and then every 30 s: started now, it finds this one at once. When
    # its runs are done, nothing is left to look for.
    with started(served, "dagster-daemon", "run"):
        runs = wait_until_done(served, launched["backfillId"])

    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert len(runs) <= 2 * len(MARKETS)

    store = open_store(load_settings(data_dir=served.data_dir).store_url)
    for name in ("candles", "bars_15m", "features", "labels"):
        assert set(store.read(TABLES[name], columns=["market"])["market"].unique()) == set(MARKETS), name


def wait_until_done(served: Served, backfill: str) -> list[dict[str, Any]]:
    """The backfill's runs, when they have ended and are of every market and month."""
    deadline = time.monotonic() + 1200
    while time.monotonic() < deadline:
        found: dict[str, Any] = served.ask(PROGRESS, id=backfill)["partitionBackfillOrError"]
        assert "FAIL" not in found["status"], served.log.read_text()[-3000:]
        runs: list[dict[str, Any]] = found["runs"]
        if partitions_of(runs) == sorted((market, month) for market in MARKETS for month in MONTHS) and all(
            run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in runs
        ):
            return runs
        time.sleep(0.5)
    raise AssertionError(served.log.read_text()[-3000:])


def partitions_of(runs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Market and month of each partition that runs make, each of one market."""
    made: list[tuple[str, str]] = []
    for run in runs:
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        market, first = tags["dagster/asset_partition_range_start"].rsplit("|", 1)
        last_market, last = tags["dagster/asset_partition_range_end"].rsplit("|", 1)
        assert last_market == market, "one market per run"
        made += [(market, month) for month in MONTHS if first <= month <= last]
    return sorted(made)
