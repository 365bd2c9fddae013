from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.sides import Side
from trading_assets.models import Bundle, Dataset, TrainedModel, join, load, train, write
from trading_assets.models.bundle import CONTENT, INDEX
from trading_assets.models.code_version import code_version
from trading_assets.models.trial import Trial
from trading_assets.settings import LabelSettings, LightGBMSettings, ModelSettings, WalkForwardSettings

if TYPE_CHECKING:
    from conftest import PlantedFrames

SPEC = ModelSettings(
    markets=["sample:A/USDT"],
    walk_forward=WalkForwardSettings(train_days=10),
    estimator=LightGBMSettings(num_boost_round=20),
    threshold=0.6,
)
LABELS = LabelSettings(take_profit_pct=3.0)
MODEL = "long/model.txt"
FORMAT_1 = LightGBMSettings(num_boost_round=8, min_data_in_leaf=40, lambda_l2=5)


@pytest.fixture(scope="module")
def data(planted: PlantedFrames) -> Dataset:
    return join(*planted(days=15), names=[f"f{i}" for i in range(6)], fingerprint="ab" * 32)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> TrainedModel:
    return train(data, SPEC)


def written(folder: Path, trained: TrainedModel, data: Dataset, **changes: object) -> Bundle:
    arguments = {
        "model": "a",
        "spec": SPEC,
        "labels": LABELS,
        "metrics": {"oos_auc": 0.6},
        "run_id": "run-1",
        **changes,
    }
    return write(folder, trained=trained, dataset=data, **arguments)  # type: ignore[arg-type]


def test_a_bundle_comes_back_as_it_was_written(tmp_path: Path, trained: TrainedModel, data: Dataset) -> None:
    bundle = written(tmp_path, trained, data)
    assert bundle.folder == tmp_path / "a" / bundle.bundle_hash[:16]
    files = sorted(str(file.relative_to(bundle.folder)) for file in bundle.folder.rglob("*") if file.is_file())
    assert files == sorted([*CONTENT, INDEX, MODEL])
    assert sorted(file.name for file in bundle.folder.parent.iterdir()) == [bundle.folder.name]
    assert load(bundle.folder, expected_hash=bundle.bundle_hash, feature_fingerprint=lambda _: "ab" * 32) == bundle
    assert (bundle.markets, bundle.spec.threshold, bundle.labels) == (("sample:A/USDT",), 0.6, LABELS)
    assert bundle.features == data.features
    assert bundle.metrics == {"oos_auc": 0.6}
    provenance = bundle.provenance
    assert (provenance.dataset_hash, provenance.dataset_rows) == (data.content_hash, data.frame.height)
    assert (provenance.train_start, provenance.train_end) == (trained.train_start, trained.train_end)
    assert (provenance.run_id, provenance.code_version) == ("run-1", code_version())
    assert bundle.predict(data.frame).equals(trained.classifier.predict(data.frame))


def test_the_hash_depends_on_content_and_neither_on_clock_nor_run(
    tmp_path: Path, trained: TrainedModel, data: Dataset
) -> None:
    first = written(tmp_path / "one", trained, data)
    again = written(tmp_path / "two", train(data, SPEC), data, run_id="run-2")
    assert first.bundle_hash == again.bundle_hash
    assert first.provenance.created_at < again.provenance.created_at
    other_threshold = written(tmp_path, trained, data, spec=SPEC.model_copy(update={"threshold": 0.7}))
    other_labels = written(tmp_path, trained, data, labels=LabelSettings())
    other_scores = written(tmp_path, trained, data, metrics={})
    assert len({b.bundle_hash for b in (first, other_threshold, other_labels, other_scores)}) == 4


@pytest.mark.slow
def test_another_process_gets_the_same_hash(tmp_path: Path, trained: TrainedModel, data: Dataset) -> None:
    here = written(tmp_path / "here", trained, data)
    data.frame.write_parquet(tmp_path / "rows.parquet")
    script = f"""
import polars as pl
from pathlib import Path
from trading_assets.models import join, train, write
from trading_assets.settings import LabelSettings, ModelSettings
rows = pl.read_parquet({str(tmp_path / "rows.parquet")!r})
labels = rows.with_columns(resolution=pl.lit("15m"), missing_candles=pl.lit(0), ambiguous=pl.lit(False))
data = join(rows.drop("label_end", "label", "return"), labels, names={data.features!r}, fingerprint={"ab" * 32!r})
spec = ModelSettings.model_validate_json({SPEC.model_dump_json()!r})
labels = LabelSettings.model_validate_json({LABELS.model_dump_json()!r})
bundle = write(Path({str(tmp_path / "there")!r}), model="a", trained=train(data, spec), dataset=data, spec=spec,
               labels=labels, metrics={{"oos_auc": 0.6}}, run_id="other")
print(bundle.bundle_hash, data.content_hash)
"""
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert there.stdout.split() == [here.bundle_hash, data.content_hash]


def test_writing_the_same_bundle_twice_keeps_the_first(tmp_path: Path, trained: TrainedModel, data: Dataset) -> None:
    first = written(tmp_path, trained, data)
    assert written(tmp_path, trained, data, run_id="run-2") == first


@pytest.mark.parametrize("name", [*CONTENT, MODEL, INDEX])
def test_a_changed_or_missing_file_is_refused_and_a_new_write_mends_it(
    name: str, tmp_path: Path, trained: TrainedModel, data: Dataset
) -> None:
    bundle = written(tmp_path, trained, data)
    file = bundle.folder / name
    content = file.read_text()
    file.write_text(content.replace("0", "1", 1))
    with pytest.raises(BundleError, match=r"SHA-256 differs|does not belong|bundle\.json"):
        load(bundle.folder)
    file.unlink()
    with pytest.raises(BundleError, match=f"cannot read {Path(name).name}: No such file"):
        load(bundle.folder)
    assert written(tmp_path, trained, data).bundle_hash == bundle.bundle_hash
    assert load(bundle.folder).bundle_hash == bundle.bundle_hash


def test_a_bundle_whose_hashes_were_forged_together_is_not_the_expected_one(
    tmp_path: Path, trained: TrainedModel, data: Dataset
) -> None:
    good = written(tmp_path, trained, data)
    other = written(tmp_path, trained, data, metrics={"oos_auc": 0.9})
    with pytest.raises(BundleError, match=f"this is bundle {other.bundle_hash[:16]}, not {good.bundle_hash[:16]}"):
        load(other.folder, expected_hash=good.bundle_hash)
    with pytest.raises(BundleError, match="trained on features abababababababab, but this code computes cdcd"):
        load(good.folder, feature_fingerprint=lambda _: "cd" * 32)


def test_an_index_of_another_format_is_refused_in_one_line(
    tmp_path: Path, trained: TrainedModel, data: Dataset
) -> None:
    folder = written(tmp_path, trained, data).folder
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | {"format": 3}))
    with pytest.raises(BundleError, match=r"bundle\.json: format: Input should be 1 or 2; materialize candidate again"):
        load(folder)
    with pytest.raises(BundleError, match=r"cannot read bundle\.json"):
        load(tmp_path / "nowhere")


def test_a_bundle_of_format_1_is_still_read_and_says_the_same() -> None:
    """Written by the version before; a node goes on with it, and a registry keeps its identity."""
    fixtures = Path(__file__).parent / "fixtures"
    bundle = load(fixtures / "bundle_format_1", feature_fingerprint=lambda _: "ab" * 32)
    assert bundle.bundle_hash == "d1997d3575eaa254c862eb35ba75408316ebaf64a0eb780ccce23cb45c07667b"
    assert bundle.sides == (Side.LONG,)
    assert bundle.spec.estimator == FORMAT_1
    assert (bundle.spec.threshold, bundle.labels.take_profit_pct, bundle.metrics) == (0.6, 3.0, {"oos_auc": 0.6})
    said = json.loads((fixtures / "bundle_format_1_said.json").read_text())
    assert bundle.predict(pl.DataFrame(said["rows"])).to_list() == said["probability"]
    Trial(bundle).wait()
    with pytest.raises(ModelError, match="the model has no short side"):
        bundle.predict(pl.DataFrame(said["rows"]), Side.SHORT)


def test_the_same_model_is_trained_as_the_version_before_did(planted: PlantedFrames) -> None:
    """To the last bit; the text holds every parameter that it was trained with."""
    frames = planted(days=15)
    data = join(*frames, names=[f"f{i}" for i in range(6)], fingerprint="ab" * 32)
    spec = SPEC.model_copy(update={"estimator": FORMAT_1})
    before = (Path(__file__).parent / "fixtures" / "bundle_format_1" / "model.txt").read_bytes()
    assert train(data, spec).classifier.files == {"model.txt": before}


def test_the_code_version_needs_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = code_version(tmp_path)
    assert "+" not in plain
    (tmp_path / ".git").mkdir()
    code_version.cache_clear()
    assert code_version(tmp_path) == plain  # a broken repository
    monkeypatch.setenv("PATH", "")
    code_version.cache_clear()
    assert code_version() == plain
    code_version.cache_clear()


def test_importing_the_models_is_light() -> None:
    script = (
        "import sys, trading_assets.models, trading_assets.registry, trading_assets.validation; "
        "print([m for m in ('lightgbm', 'sklearn', 'mlflow', 'pandas', 'dagster', 'duckdb') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
