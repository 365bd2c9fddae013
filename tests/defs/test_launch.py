"""Runs inside a process, as the command line starts them."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import uvicorn
from dagster._core.remote_origin import CodeLocationOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_graphql.test.utils import execute_dagster_graphql
from dagster_webserver.app import create_app_from_workspace_process_context

from tests.defs.small import LENIENT, SYNA, Location, Undisturbed, copy_of
from trading_assets.backtest.report.files import chart_address, chart_file, report_address, report_file
from trading_assets.backtest.stored import try_out
from trading_assets.core.errors import SettingsError
from trading_assets.registry import Registry
from trading_assets.settings import PROJECT_ROOT
from trading_assets.settings.dagster_home import dagster_environment, within
from trading_assets.store import TABLES, open_store
from trading_assets.store.tables import CANDLES, FEATURES, LABELS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"markets": ["binance:BTC/USDT"]}, "no market 'binance:BTC/USDT'"),
        ({"start": "2024-12"}, "no month '2024-12'.*2025-01"),
        ({"start": "2025-03", "end": "2025-01"}, "range is empty"),
    ],
)
def test_what_the_history_does_not_have_is_refused_by_name(
    location: Location, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        list(location.launch.materialize_markets(location.settings(tmp_path), **arguments))
    with pytest.raises(SettingsError, match=r"no model 'x'.*syna, noise"):
        location.launch.materialize_model(location.settings(tmp_path), "x")


def test_from_training_to_deployment_with_progress_on_an_instance_that_stays(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path, gates=LENIENT)
    events: list[Any] = []
    trained = location.launch.materialize_model(settings, "syna", events.append)
    assert trained.success
    assert trained.failures == {}
    assert len(trained.checks) == 8
    assert trained.materialized["approved"]["version"] == 1
    steps = [event.step for event in events if event.kind == "finished"]
    assert steps == ["walk_forward", "candidate", "backtest", "gates", "approved"]
    assert (events[-1].steps_done, events[-1].steps_total) == (5, 5)
    assert [event.passed for event in events if event.kind == "check"] == [True] * 8

    assert [result.subject for result in location.launch.tick_promotion_sensor(settings)] == ["syna"]
    assert location.launch.tick_promotion_sensor(settings) == []
    assert location.launch.load_journal(settings).success

    runs = location.launch.open_instance(settings).get_runs()
    assert sorted(run.job_name for run in runs) == ["load_journal", "promote", "retrain"]
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert (settings.data_dir / "dagster" / "history").is_dir()


def test_a_failure_is_told_in_its_own_words_and_a_failed_gate_as_a_check(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    nothing = location.launch.materialize_model(location.settings(tmp_path / "empty"), "syna")
    assert not nothing.success
    assert nothing.failures["walk_forward"].startswith(f"{SYNA}: no labelled rows; materialize features")

    damaged = location.settings(tmp_path / "damaged")
    damaged.data_dir.mkdir()
    (damaged.data_dir / "market.duckdb").write_bytes(b"no database" * 1000)
    (broken,) = location.launch.materialize_markets(damaged, [SYNA], "2025-02", "2025-02")
    assert broken.failures["candles"].startswith(str(damaged.data_dir / "market.duckdb"))
    assert broken.failures["candles"].endswith("restore a copy, or move the file away and materialize again")

    strict = copy_of(undisturbed, location, tmp_path / "strict", quality={"gap_share": {"max_share": 0.0}})
    (refused,) = location.launch.materialize_markets(strict, [SYNA], "2025-02", "2025-02")
    assert not refused.success
    assert refused.failures == {}
    assert [check.name for check in refused.failed_checks] == ["gap_share"]
    assert "limit 0.0%" in refused.failed_checks[0].description


@pytest.fixture
def holed(location: Location, undisturbed: Undisturbed, tmp_path: Path) -> Any:
    """Settings over a store without features, whose February the check of gaps refuses."""
    settings = copy_of(undisturbed, location, tmp_path, quality={"gap_share": {"max_share": 0.01}})
    store, where = open_store(settings.store_url), {"market": SYNA, "timeframe": "1m"}
    february = {"start": datetime(2025, 2, 1, tzinfo=UTC), "end": datetime(2025, 3, 1, tzinfo=UTC)}
    candles = store.read(CANDLES, where=where, **february)
    hole = pl.col("ts").is_between(datetime(2025, 2, 10, tzinfo=UTC), datetime(2025, 2, 12, tzinfo=UTC), closed="left")
    store.replace(CANDLES, candles.filter(~hole), where=where, **february)
    for table in (FEATURES, LABELS):
        store.replace(table, store.read(table, where={"market": SYNA}).clear(), where={"market": SYNA})
    return settings


def _months_with_features(settings: Any) -> list[str]:
    times = open_store(settings.store_url).read(FEATURES, where={"market": SYNA}, columns=["ts"])["ts"]
    return times.dt.strftime("%Y-%m").unique().sort().to_list()


def test_one_bad_month_stops_no_other(location: Location, holed: Any) -> None:
    whole, *others = location.launch.materialize_markets(holed, [SYNA])
    assert (whole.success, whole.blocked) == (False, [f"{SYNA}|2025-02"])
    assert [result.success for result in others] == [True, True], "January, and March"
    times = open_store(holed.store_url).read(FEATURES, where={"market": SYNA}, columns=["ts"])["ts"]
    assert times.dt.strftime("%Y-%m").unique().sort().to_list() == ["2025-01", "2025-03"]

    instance, sensor = location.launch.open_instance(holed), location.module("orchestration.sensors").other_months
    failed, *done = (instance.get_run_by_id(result.run_id) for result in (whole, *others))
    (ended,) = instance.all_logs(failed.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)

    def asked(run: dg.DagsterRun) -> list[Any]:
        told = dg.build_run_status_sensor_context(
            "other_months", ended.get_dagster_event(), instance, run, resources={"settings": holed}
        )
        return list(sensor(told.for_run_failure()))

    (nothing,) = asked(failed)
    assert isinstance(nothing, dg.SkipReason), "the command line has done them"
    requests = asked(failed.with_tags({tag: told for tag, told in failed.tags.items() if tag != "launched_by"}))
    bounds = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end", "market")
    assert [[request.tags[tag] for tag in bounds] for request in requests] == [
        [run.tags[tag] for tag in bounds] for run in done
    ], "the UI gets the same runs"
    assert {request.tags["after_run"] for request in requests} == {failed.run_id}
    assert {"candles", "features", "labels"} <= {key.to_user_string() for key in requests[0].asset_selection}


def test_only_what_was_asked_for_is_done_for_the_other_months(location: Location, tmp_path: Path) -> None:
    asked, (bars, features) = (
        location.module("orchestration.jobs").assets_asked,
        map(dg.AssetKey, ("bars_15m", "features")),
    )
    settings = location.settings(tmp_path)
    instance = location.launch.open_instance(settings)
    assert asked(instance, dg.DagsterRun("__ASSET_JOB", asset_selection=frozenset({features, bars})), settings) == [
        bars,
        features,
    ]
    assert asked(instance, dg.DagsterRun("retrain"), settings) == []


def _tick(
    location: Location, settings: Any, sensor: str, cursor: str | None = None
) -> tuple[str | None, list[dg.RunRequest]]:
    """As the daemon does, in the code location of `workspace.yaml`: where the sensor is then, and what it asks for."""
    with dg.SensorEvaluationContext(
        instance_ref=None,
        instance=location.launch.open_instance(settings),
        cursor=cursor,
        repository_name="__repository__",
        repository_def=location.defs.get_repository_def(),
        resources={"settings": settings},
        code_location_origin=_code_location(),
    ) as context:
        asked = getattr(location.module("orchestration.sensors"), sensor).evaluate_tick(context).run_requests
        return context.cursor, list(asked or ())


def test_the_ui_reads_what_a_run_recorded_though_the_run_kept_the_files_open(
    location: Location, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    told: list[Any] = []
    during = location.launch.load_journal(settings, lambda event: told.append(_of_the_ui(settings).get_runs_count()))
    assert during.success
    assert set(told) == {1}  # also while it goes on

    seen = _of_the_ui(settings)
    (run,) = seen.get_runs()
    assert (run.run_id, run.status) == (during.run_id, dg.DagsterRunStatus.SUCCESS)
    kinds = [entry.dagster_event_type for entry in seen.all_logs(run.run_id) if entry.dagster_event_type]
    assert kinds.count(dg.DagsterEventType.ASSET_MATERIALIZATION) == len(during.materialized)
    assert kinds[-1] == dg.DagsterEventType.RUN_SUCCESS
    assert seen.get_latest_materialization_event(dg.AssetKey("signals")) is not None
    assert not list((settings.data_dir / "dagster").rglob("*.db-wal"))


TIMELINE = """
query CompletedRunTimelineQuery($completedFilter: RunsFilter!, $limit: Int!) {
  completed: runsOrError(filter: $completedFilter, limit: $limit) {
    ... on Runs { results { id pipelineName startTime repositoryOrigin { repositoryName repositoryLocationName } } }
  }
}
"""
"""What the first page asks for; it passes over runs whose `repositoryOrigin` is null."""
OF_A_JOB = {"key": ".dagster/repository", "value": "__repository__@trading"}
"""The tag that a job's page adds to its filter."""


def test_the_first_page_and_a_jobs_page_show_the_runs_of_the_command_line(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    run = location.launch.load_journal(settings)
    context: Any = WorkspaceProcessContext(_of_the_ui(settings), workspace_load_target=None).create_request_context()

    def asked(**runs: Any) -> list[dict[str, Any]]:
        answer = execute_dagster_graphql(context, TIMELINE, {"completedFilter": runs, "limit": 100})
        found: list[dict[str, Any]] = answer.data["completed"]["results"]
        return found

    (shown,) = asked(statuses=["FAILURE", "SUCCESS", "CANCELED"], updatedAfter=0.0)
    assert shown["id"] == run.run_id
    assert shown["repositoryOrigin"] == {
        "repositoryName": "__repository__",
        "repositoryLocationName": "trading",
    }
    (of_job,) = asked(pipelineName="load_journal", tags=[OF_A_JOB])
    assert of_job["id"] == run.run_id


CHROMIUM = shutil.which("chromium")
_HEADLESS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000"),
)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_finds_the_runs_of_the_command_line_on_the_first_page(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path / "data")
    assert location.launch.load_journal(settings).success
    with within(dagster_environment(settings)), _webserver(settings) as address:
        command = [
            str(CHROMIUM),
            *_HEADLESS,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            f"{address}/overview",
        ]
        page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    assert "No runs or scheduled ticks" not in page
    assert "load_journal" in page


def test_a_failure_of_the_command_line_is_told_by_the_alert(
    location: Location, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = location.settings(tmp_path)
    cursor, _ = _tick(location, settings, "run_failure_alert")
    failed = location.launch.materialize_model(settings, "syna")
    assert not failed.success
    with caplog.at_level(logging.ERROR, "trading.alerts"):
        _tick(location, settings, "run_failure_alert", cursor)
    (told,) = [record.message for record in caplog.records if record.name == "trading.alerts"]
    assert told.startswith(f"run {failed.run_id} of retrain syna failed: walk_forward: {SYNA}: no labelled rows")


def test_a_killed_run_is_buried_once_but_not_its_repetition_by_the_ui(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    instance, job = location.launch.open_instance(settings), location.defs.resolve_job_def("load_journal")
    tags = importlib.import_module("trading_assets.launch.instance").run_tags()
    assert tags["process"].endswith(f":{os.getpid()}")
    assert tags["dagster/max_retries"] == "0", "the daemon repeats no run that somebody waits for"
    tags["process"] = tags["process"].replace(f":{os.getpid()}", f":{gone.pid}")
    started = dg.DagsterRunStatus.STARTED
    killed = instance.create_run_for_job(job, tags=tags, status=started)
    family = {"root_run_id": killed.run_id, "parent_run_id": killed.run_id}
    repeated = instance.create_run_for_job(job, tags=tags, status=started, **family)

    statuses = {run.run_id: run.status for run in location.launch.open_instance(settings).get_runs()}
    assert statuses == {killed.run_id: dg.DagsterRunStatus.FAILURE, repeated.run_id: started}


def test_the_webserver_shows_reports_and_nothing_beside_them(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    page = report_file(settings.reports_dir, "syna", 3)
    page.parent.mkdir(parents=True)
    page.write_text("the report")
    chart_file(settings.reports_dir, "syna", 3).write_text("the chart")
    (settings.data_dir / "secret.html").write_text("no report")
    (settings.data_dir / "7.html").write_text("no report")
    (settings.reports_dir / "linked").symlink_to(settings.data_dir)
    with within(dagster_environment(settings)), _webserver(settings) as address:
        with urllib.request.urlopen(address + report_address("syna", 3)) as answer:
            assert answer.read() == b"the report"
            assert answer.headers["content-type"].startswith("text/html")
            assert not answer.headers["content-disposition"], "shown, not downloaded"
            assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        with urllib.request.urlopen(address + chart_address("syna", 3)) as answer:
            assert answer.read() == b"the chart"
            policy = answer.headers["content-security-policy"]
            assert "allow-scripts" in policy
            assert "allow-same-origin" not in policy, "what runs on it does not reach the UI"
            assert "default-src 'none'" in policy
        assert _status(address + report_address("syna", 4)) == 404
        for hidden in (
            *("%2e%2e/secret/html", "..%2f..%2fsecret/html", "%2e%2e/7/html", "syna/../../7/html"),
            *("syna/%2e%2e%2f7/html", "linked/7/html", "syna/3/../3/html", "%00/3/html"),
            *("syna/x/html", "syna/%C2%B2/html", "syna/html", "html"),
        ):
            assert _status(f"{address}/logs/reports/{hidden}") == 404, hidden


def _status(address: str) -> int:
    try:
        with urllib.request.urlopen(address) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def _webserver(settings: Any) -> Iterator[str]:
    """Dagster's own webserver, without a code location, in a thread."""
    workspace = WorkspaceProcessContext(_of_the_ui(settings), workspace_load_target=None)
    app = create_app_from_workspace_process_context(workspace)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _code_location() -> CodeLocationOrigin:
    (origin,) = location_origins_from_yaml_paths([str(PROJECT_ROOT / "workspace.yaml")])
    return origin


def _of_the_ui(settings: Any) -> dg.DagsterInstance:
    """The instance as Dagster's own programs open it."""
    with within(dagster_environment(settings)):
        return dg.DagsterInstance.get()


def test_processes_that_start_at_once_in_a_new_home_share_its_tables(tmp_path: Path) -> None:
    opening = (
        "from trading_assets.settings import load_settings; from trading_assets.launch.runs import open_instance\n"
        "print('loaded', flush=True); input(); print(len(open_instance(load_settings()).get_runs()))"
    )
    environment = {**os.environ, "TRADING_DATA_DIR": str(tmp_path)}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", opening], env=environment, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=300)[0].strip() for process in processes] == ["0"] * 2


def test_each_step_of_a_model_s_life_is_a_run_of_its_own(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path, gates=LENIENT)
    launch, store = location.launch, open_store(settings.store_url)

    def status() -> str:
        return str(store.read(TABLES["model_versions"])["status"].item())

    assert set(launch.materialize_model(settings, "syna", job="train").materialized) == {"walk_forward", "candidate"}
    assert status() == "draft"
    (refused,) = launch.promote(settings, "syna", version=1).failures.values()
    assert "model syna version 1: a version that is draft is not deployed" in refused
    evaluated = launch.materialize_model(settings, "syna", job="evaluate")
    assert set(evaluated.materialized) == {"backtest"}

    before = store.read(TABLES["backtest_metrics"])
    counted = Registry(settings).trials([SYNA]).count
    metrics, _ = try_out(settings, store, "syna", {"threshold": 0.99})
    assert metrics["trades"] == 0 < evaluated.materialized["backtest"]["trades"]
    assert store.read(TABLES["backtest_metrics"]).equals(before), "an experiment stores nothing"
    assert Registry(settings).trials([SYNA]).count == counted + 1, "but counts"
    assert Registry(settings).get("syna", 1).metrics["backtest_sharpe"] == evaluated.materialized["backtest"]["sharpe"]

    assert launch.materialize_model(settings, "syna", job="approve").success
    assert launch.promote(settings, "syna", version=1).success
    assert status() == "active"
    (unknown,) = launch.promote(settings, "syna", version=7).failures.values()
    assert "model syna has no version 7" in unknown
