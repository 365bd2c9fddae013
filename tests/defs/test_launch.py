"""Runs inside a process, as the command line starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.defs.small import LENIENT, SYNA, Location, Undisturbed, copy_of
from trading_assets.errors import SettingsError
from trading_assets.home import dagster_environment, within


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


def test_settings_with_other_partitions_than_the_definitions_are_refused(location: Location, tmp_path: Path) -> None:
    other = location.settings(tmp_path, history={"start": "2025-01-01", "end": "2025-02-01"})
    with pytest.raises(SettingsError, match="history that the definitions were loaded with"):
        location.launch.load_journal(other)


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
    processes = [subprocess.Popen([sys.executable, "-c", opening], env=environment, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=300)[0].strip() for process in processes] == ["0"] * 3
