"""MLflow holds of every trial how it was specified, what it was made of, how it did, and its pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.lifecycle.shelf import MODEL, SPEC, Shelf
from tests.ports import free_port
from trading_assets.core.errors import TradingError
from trading_assets.registry.runs import MadeOf
from trading_assets.settings import LabelSettings, load_settings
from trading_cli.experiments import serve

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


def answer(address: str, process: subprocess.Popen[bytes], log: Path) -> bytes:
    """What a server that a process is to start says, once it says something."""
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=60) as said:
                return bytes(said.read())
        except OSError:
            time.sleep(0.2)
    pytest.fail(log.read_text())


def test_the_page_of_the_experiments_is_served_until_ctrl_c(shelf: Shelf, tmp_path: Path) -> None:
    shelf.registry.count_walk_forward(MODEL, SPEC.markets, "cd" * 32, {"oos_auc": 0.5})
    port, log = free_port(), tmp_path / "said.txt"
    address, command = f"http://127.0.0.1:{port}", ["ui", "--mlflow", "--port", str(port)]
    with log.open("wb") as output:
        served = subprocess.Popen(
            [sys.executable, "-m", "trading_cli", "--data-dir", str(shelf.settings.data_dir), *command],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        page = answer(f"{address}/", served, log)
        listed = json.loads(answer(f"{address}/api/2.0/mlflow/experiments/search?max_results=9", served, log))
        served.send_signal(signal.SIGINT)
        code = served.wait(300)
        with pytest.raises(ProcessLookupError):
            os.killpg(served.pid, 0)
    finally:
        if served.poll() is None:
            os.killpg(served.pid, signal.SIGKILL)
    assert b"<title>MLflow</title>" in page
    assert [one["name"] for one in listed["experiments"]] == [MODEL]
    assert (code, log.read_text()) == (0, f"MLflow: {address}/#/experiments (Ctrl-C stops it)\n")


def test_experiments_that_a_server_keeps_are_opened_there(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_MLFLOW__TRACKING_URI", "http://tracker:5000")
    settings = load_settings()
    with pytest.raises(TradingError, match=r"http://tracker:5000: a server keeps the experiments.*in a browser"):
        serve(settings, "127.0.0.1", free_port())
