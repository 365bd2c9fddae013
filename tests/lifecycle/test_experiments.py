"""MLflow holds of every trial how it was specified, what it was made of, how it did, and its pictures."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from tests.lifecycle.shelf import MODEL, SPEC, Shelf
from trading_assets.registry.runs import MadeOf
from trading_assets.settings import LabelSettings

PIXEL = b"\x89PNG not really"


def client_of(shelf: Shelf) -> MlflowClient:
    uri = f"sqlite:///{shelf.settings.data_dir / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def test_a_counted_walk_forward_says_how_it_was_specified_and_what_it_learnt_from(shelf: Shelf) -> None:
    made_of = MadeOf(SPEC, LabelSettings(), ("f0", "f1"), "ab" * 32, 1_152, "1.0+gabc", "run-9")
    files = {"auc_by_fold.png": PIXEL}
    shelf.registry.count_walk_forward(MODEL, SPEC.markets, "cd" * 32, {"oos_auc": 0.5}, made_of=made_of, files=files)
    client = client_of(shelf)
    experiment = client.get_experiment_by_name(MODEL)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["estimator.num_boost_round"] == "3"
    assert run.data.params["walk_forward.train_days"] == "10.0"
    assert (run.data.params["labels.take_profit_pct"], run.data.params["feature_count"]) == ("2.0", "2")
    tags = {"dataset_hash": "ab" * 32, "dagster_run_id": "run-9", "code_version": "1.0+gabc", "estimator": "lightgbm"}
    assert tags.items() <= run.data.tags.items()
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["auc_by_fold.png"]
    assert run.info.run_name.startswith("walk-forward, 20")


def test_a_versions_run_takes_pictures_beside_its_bundle(shelf: Shelf, tmp_path: Path) -> None:
    shelf.approve()
    for content in (b"old", PIXEL):
        shelf.registry.log_files(MODEL, 1, {"plots/equity.png": content, "report/report.html": b"<html>"})
    client, run_id = client_of(shelf), shelf.get(1).mlflow_run_id
    assert {file.path for file in client.list_artifacts(run_id)} == {"bundle", "plots", "report"}
    assert Path(client.download_artifacts(run_id, "plots/equity.png", str(tmp_path))).read_bytes() == PIXEL
