"""What users do to MLflow beside the project: delete in its page, move and copy its folder, look at its runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.registry.test_registry import Desk, data, desk, trained
from trading_assets.core.errors import ModelError
from trading_assets.registry import Registry
from trading_assets.settings import Settings, load_settings

__all__ = ["data", "desk", "trained"]  # fixtures


def client_of(settings: Settings) -> MlflowClient:
    uri = f"sqlite:///{settings.data_dir / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def experiment(settings: Settings, name: str = "a") -> str:
    found = client_of(settings).get_experiment_by_name(name)
    assert found is not None
    return str(found.experiment_id)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_experiment_deleted_in_mlflows_page_is_restored_by_the_next_run(desk: Desk) -> None:
    assert desk.register(0.5) == 1
    client_of(desk.settings).delete_experiment(experiment(desk.settings))
    assert desk.register(0.6) == 2
    client_of(desk.settings).delete_experiment(experiment(desk.settings))
    desk.registry.count_walk_forward("a", ["sample:A/USDT"], "ab" * 32, {"oos_auc": 0.5})
    client_of(desk.settings).delete_experiment(experiment(desk.settings))
    desk.registry.log_metrics("a", 1, {"sharpe": 1.5})
    assert desk.registry.get("a", 1).metrics["sharpe"] == 1.5
    found = client_of(desk.settings).get_experiment_by_name("a")
    assert found is not None
    assert found.lifecycle_stage == "active"
    assert desk.registry.trials(["sample:A/USDT"]).count == 3


def test_a_run_deleted_in_mlflows_page_takes_metrics_again(desk: Desk) -> None:
    desk.register()
    client_of(desk.settings).delete_run(desk.registry.get("a", 1).mlflow_run_id)
    desk.registry.log_metrics("a", 1, {"sharpe": 2.5})
    assert desk.registry.get("a", 1).metrics["sharpe"] == 2.5


def test_a_refusal_of_mlflows_is_no_damaged_database(desk: Desk) -> None:
    desk.register()
    with (
        pytest.raises(ModelError, match="the registry does not answer") as refused,
        desk.registry._tracking.answering(),
    ):
        client_of(desk.settings).get_run("0" * 32)
    assert "damaged" not in str(refused.value)


@pytest.mark.parametrize("kept", [True, False], ids=["copied", "moved"])
def test_a_data_folder_copied_or_moved_writes_only_into_itself(desk: Desk, kept: bool) -> None:
    first = desk.settings.data_dir
    desk.register(0.5)
    other = first.with_name("it's 100 % elsewhere")
    shutil.copytree(first, other)
    if not kept:
        shutil.rmtree(first)
    before = files(first) if kept else set()
    moved = Desk(load_settings(data_dir=other), desk.trained, desk.data)
    assert moved.register(0.6) == 2
    moved.registry.count_walk_forward("b", ["sample:A/USDT"], "cd" * 32, {"oos_auc": 0.5})
    assert first.exists() == kept
    assert (files(first) if kept else set()) == before
    client = client_of(moved.settings)
    for version in client.search_model_versions("name = 'a'"):
        run = client.get_run(version.run_id)
        for address in (version.source, run.info.artifact_uri):
            assert address.startswith((other / "mlartifacts").as_uri())
        assert client.list_artifacts(version.run_id, "bundle"), "also the files of the run before"
    again = Desk(desk.settings, desk.trained, desk.data) if kept else moved
    assert again.register(0.7) == (2 if kept else 3)


def test_mlflows_page_opens_on_the_models_and_names_what_ran(desk: Desk) -> None:
    desk.register()
    desk.registry.count_walk_forward("a", ["sample:A/USDT"], "ab" * 32, {"oos_auc": 0.5})
    client = client_of(desk.settings)
    assert [one.name for one in client.search_experiments()] == ["a"]
    names = sorted(run.info.run_name for run in client.search_runs([experiment(desk.settings)]))
    version, walk = names
    assert version == f"version 1 of {desk.registry.get('a', 1).bundle_hash[:8]}"
    assert walk.startswith("walk-forward, 20")
    assert walk.endswith(" UTC, configuration abababab")
    assert Registry(desk.settings).list("a")[0].version == 1
