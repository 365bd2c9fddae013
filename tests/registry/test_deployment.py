from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading_assets.core.errors import ModelError
from trading_assets.registry import (
    DeployedModel,
    Manifest,
    deploy,
    read_manifest,
    shadow,
    undeploy,
    unshadow,
    write_manifest,
)
from trading_assets.registry.deployment import MANIFEST

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)


def deployed(model: str = "a", version: int = 1, at: datetime = NOON) -> DeployedModel:
    return DeployedModel(
        model=model,
        version=version,
        bundle=f"bundles/{model}/{version:016d}",
        bundle_hash=f"{version:064d}",
        markets=(f"sample:{model.upper()}/USDT",),
        deployed_at=at,
    )


def test_nothing_is_deployed_before_the_first_time(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "live") == Manifest()
    assert Manifest().changed_at is None


def test_a_deployment_replaces_its_model_and_keeps_the_others(tmp_path: Path) -> None:
    deploy(tmp_path, deployed("a"))
    deploy(tmp_path, deployed("b"))
    manifest = deploy(tmp_path, deployed("a", 2))
    assert read_manifest(tmp_path) == manifest
    assert {name: one.version for name, one in manifest.models.items()} == {"a": 2, "b": 1}
    assert undeploy(tmp_path, "a") == read_manifest(tmp_path) == Manifest(models={"b": deployed("b")})


def test_deploying_the_same_again_leaves_the_file_alone(tmp_path: Path) -> None:
    first = deploy(tmp_path, deployed())
    before = (tmp_path / MANIFEST).stat()
    assert deploy(tmp_path, deployed(at=NOON.replace(hour=13))) == first
    assert (tmp_path / MANIFEST).stat().st_ino == before.st_ino


def test_challengers_stand_beside_what_trades_and_leave_when_they_trade_themselves(tmp_path: Path) -> None:
    deploy(tmp_path, deployed("a"))
    for version in (3, 2, 3):
        manifest = shadow(tmp_path, deployed("a", version))
    shadow(tmp_path, deployed("b", 7))
    assert manifest.models == {"a": deployed("a")}
    assert [one.version for one in read_manifest(tmp_path).challengers["a"]] == [2, 3]
    promoted = deploy(tmp_path, deployed("a", 3))
    assert promoted == read_manifest(tmp_path)
    assert [one.version for one in promoted.challengers["a"]] == [2]
    assert undeploy(tmp_path, "a").challengers == promoted.challengers
    assert set(unshadow(tmp_path, "a", 2).challengers) == {"b"}
    assert unshadow(tmp_path, "b").challengers == {}


def test_what_trades_is_no_challenger_of_itself(tmp_path: Path) -> None:
    deploy(tmp_path, deployed("a"))
    with pytest.raises(ModelError, match="model a version 1: it trades: it is no challenger"):
        shadow(tmp_path, deployed("a"))


def test_shadowing_the_same_again_leaves_the_file_alone(tmp_path: Path) -> None:
    first = shadow(tmp_path, deployed())
    before = (tmp_path / MANIFEST).stat()
    assert shadow(tmp_path, deployed(at=NOON.replace(hour=13))) == first
    assert (tmp_path / MANIFEST).stat().st_ino == before.st_ino


def test_the_bundle_lies_below_the_data_folder_or_anywhere(tmp_path: Path) -> None:
    assert deployed().folder(tmp_path) == tmp_path / "bundles/a/0000000000000001"
    elsewhere = deployed().model_copy(update={"bundle": "/srv/bundles/a"})
    assert elsewhere.folder(tmp_path) == Path("/srv/bundles/a")


def test_a_reader_never_sees_half_a_manifest(tmp_path: Path) -> None:
    deploy(tmp_path, deployed())
    stop = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(read_manifest(tmp_path).models["a"].version)

    reader = threading.Thread(target=read)
    reader.start()
    written = 1
    while written < 40 or (len(seen) < 2 and reader.is_alive()):  # however seldom the machine lets it look
        written += 1
        deploy(tmp_path, deployed(version=written))
    stop.set()
    reader.join()
    assert seen <= set(range(1, written + 1))
    assert len(seen) > 1
    assert sorted(file.name for file in tmp_path.iterdir()) == [".deployment.json.lock", MANIFEST]


def test_deployments_at_once_lose_none(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: deploy(tmp_path, deployed(name)), names))
    assert sorted(read_manifest(tmp_path).models) == sorted(names)


def broken(change: dict[str, object]) -> str:
    return json.dumps({"format": 1, "models": {"a": {**json.loads(deployed().model_dump_json()), **change}}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Invalid JSON"),
        ('{"format": 2}', "format: Input should be 1"),
        (broken({"bundle_hash": "short"}), r"models\.a\.bundle_hash: String should match pattern"),
        (broken({"deployed_at": "2025-05-01T12:00:00"}), r"models\.a\.deployed_at: .*timezone"),
        (broken({"model": "b"}), "model 'b' stands under the name 'a'"),
        (broken({"threshold": 0.6}), r"models\.a\.threshold: Extra inputs"),
    ],
)
def test_a_broken_manifest_is_explained(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(ModelError, match=f"{MANIFEST}: not a deployment manifest: {message}.*; remove the file"):
        read_manifest(tmp_path)
    with pytest.raises(ModelError):
        deploy(tmp_path, deployed())
    assert (tmp_path / MANIFEST).read_text() == content


def test_an_unreadable_manifest_is_explained(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(ModelError, match="cannot read it: Is a directory"):
        read_manifest(tmp_path)


def test_writing_makes_the_folder(tmp_path: Path) -> None:
    write_manifest(tmp_path / "live", Manifest(models={"a": deployed()}))
    assert read_manifest(tmp_path / "live").changed_at == NOON


def test_the_node_reads_the_manifest_without_loading_what_it_does_not_need() -> None:
    script = (
        "import sys, trading_assets.registry.deployment; "
        "print([m for m in ('mlflow', 'lightgbm', 'sklearn', 'pandas', 'sqlalchemy', 'dagster') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
