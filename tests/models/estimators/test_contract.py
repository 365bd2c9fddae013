"""What every estimator promises, asked of each that is registered: its registration alone has a further one tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.sides import Side
from trading_assets.models import Bundle, Dataset, TrainedModel, join, load, train, write
from trading_assets.models.estimators import Estimator, Files, registered
from trading_assets.models.estimators.proof_case import NAMES, Case, world
from trading_assets.models.estimators.proofs import PROOFS
from trading_assets.models.trial import Trial
from trading_assets.settings import (
    EstimatorSettings,
    LabelSettings,
    LogisticSettings,
    ModelSettings,
    WalkForwardSettings,
)

KINDS = sorted(registered())
CONSTANT, EMPTY = 4, 5


def quick(estimator: Estimator[Any]) -> EstimatorSettings:
    """Its defaults; what trains for minutes by them trains for seconds."""
    return estimator.parameters.model_validate(_QUICK.get(estimator.kind, {}))


_QUICK = {
    "lstm": {"epochs": 6, "window": 4, "hidden": 16},
    "stack": {"members": [{"kind": "lightgbm", "num_boost_round": 100}, {"kind": "logistic"}], "folds": 2},
}


@pytest.fixture(scope="module", params=KINDS)
def estimator(request: pytest.FixtureRequest) -> Estimator[Any]:
    found = registered()[request.param]
    if lacking := found.parameters.lacks():
        pytest.skip(f"{request.param} {lacking}")
    return found


@pytest.fixture(scope="module")
def case(estimator: Estimator[Any]) -> Case:
    return Case(estimator, quick(estimator))


@pytest.mark.parametrize("proof", [name for name in PROOFS if name != "malformed"])
def test_it_keeps_what_every_estimator_promises(case: Case, proof: str) -> None:
    assert PROOFS[proof](case) is None


def test_what_is_no_model_is_refused_by_the_name_of_its_file(case: Case) -> None:
    """Of each spoilt content another process thinks: a stack's members, which are asked themselves, are light ones."""
    if case.estimator.kind == "stack":
        members = [{"kind": "logistic"}, {"kind": "logistic", "l2": 1.0}]
        case = Case(case.estimator, case.estimator.parameters.model_validate(_QUICK["stack"] | {"members": members}))
    assert PROOFS["malformed"](case) is None


@pytest.mark.slow
def test_a_refit_with_another_number_of_threads_gives_the_same_files(case: Case, tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from trading_assets.models.estimators import registered
from trading_assets.models.estimators.proof_case import Case
estimator = registered()[{case.estimator.kind!r}]
parameters = estimator.parameters.model_validate({_QUICK.get(case.estimator.kind, {})!r})
for name, content in Case(estimator, parameters).fitted.save().items():
    Path({str(tmp_path)!r}, name).write_bytes(content)
"""
    another = "2" if os.environ.get("OMP_NUM_THREADS") == "1" else "1"
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), another)
    subprocess.run([sys.executable, "-c", script], env=os.environ | threads, check=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == case.fitted.save()


@examples(40)
@given(chosen=st.lists(st.integers(0, 399), min_size=1, max_size=30))
def test_any_rows_in_any_order_get_their_own_probabilities(case: Case, chosen: list[int]) -> None:
    whole = case.fitted.predict_proba(case.unseen)[chosen]
    assert case.apart(case.fitted.predict_proba(np.ascontiguousarray(case.unseen[chosen])), whole) is None


@given(content=st.binary(max_size=300), at=st.floats(0, 1))
@examples(60)
def test_no_content_of_a_file_does_more_than_be_refused_or_predict(content: bytes, at: float) -> None:
    """Of what is read in this process: LightGBM's text may end it, and is read by another one first."""
    case = Case(registered()["logistic"], LogisticSettings())
    ((name, whole),) = _LINE.items()
    place = int(at * len(whole))
    for bad in (content, whole[:place] + content + whole[place:], whole[:place] + content):
        said = refusal(case, {name: bad})
        assert said is None or name in said


def refusal(case: Case, files: Files) -> str | None:
    """Why files are refused; None where they are a model."""
    try:
        case.load(files).predict_proba(case.unseen[:3])
    except ModelError as error:
        return str(error)
    return None


_LINE = Case(registered()["logistic"], LogisticSettings()).fitted.save()


# in a bundle


def trained(estimator: Estimator[Any]) -> tuple[TrainedModel, Dataset, ModelSettings]:
    rng = np.random.default_rng(1)
    count = 30 * 96
    values, target = world(3_000, 1)
    start = pl.datetime(2025, 1, 1, time_zone="UTC", time_unit="us")
    key = pl.select(ts=start + pl.duration(minutes=15) * pl.int_range(count)).select(
        market=pl.lit("sample:A/USDT"), ts="ts", known_at=pl.col("ts") + pl.duration(minutes=15)
    )
    features = key.with_columns(**{name: values[:count, i] for i, name in enumerate(NAMES) if i != EMPTY})
    features = features.with_columns(**{NAMES[EMPTY]: rng.normal(size=count)})
    labels = key.with_columns(
        side=pl.lit(1, pl.Int8),
        label_end=pl.col("known_at") + pl.duration(hours=2),
        label=pl.Series(np.where(target[:count] == 1, 1, -1), dtype=pl.Int8),
        **{"return": pl.lit(0.01)},
        take_profit=pl.lit(0.02),
        stop_loss=pl.lit(0.01),
        resolution=pl.lit("15m"),
        missing_candles=pl.lit(0, pl.Int32),
        ambiguous=pl.lit(value=False),
    )
    data = join(features, labels, names=NAMES, fingerprint="ab" * 32)
    spec = ModelSettings(
        markets=["sample:A/USDT"], walk_forward=WalkForwardSettings(train_days=28), estimator=quick(estimator)
    )
    return train(data, spec), data, spec


@pytest.fixture(scope="module")
def bundle(estimator: Estimator[Any], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    model, data, spec = trained(estimator)
    both = replace(model, classifiers={Side.LONG: model.classifier, Side.SHORT: model.classifier})
    return write(
        tmp_path_factory.mktemp(estimator.kind),
        model="a",
        trained=both,
        dataset=data,
        spec=spec,
        labels=LabelSettings(),
        metrics={"oos_auc": 0.6},
    )


def test_a_bundle_holds_a_model_for_each_side_and_comes_back(bundle: Bundle, estimator: Estimator[Any]) -> None:
    again = load(bundle.folder, expected_hash=bundle.bundle_hash)
    assert again == bundle
    assert again.sides == (Side.LONG, Side.SHORT)
    assert again.spec.estimator == quick(estimator)
    assert estimator.version(again.spec.estimator) == again.provenance.estimator
    for side in again.sides:
        kept = {file.name: file.read_bytes() for file in (bundle.folder / side.word).iterdir()}
        assert kept == again.classifiers[side].files
    keys = {"market": ["sample:A/USDT"], "ts": [datetime(2025, 1, 1, tzinfo=UTC)]}
    row = pl.DataFrame(keys | {name: [0.5] for name in reversed(NAMES)})
    assert again.predict(row, Side.SHORT).equals(bundle.predict(row))


def test_a_sound_model_passes_its_trial(bundle: Bundle) -> None:
    Trial(bundle).wait()


def test_a_file_that_the_index_does_not_name_or_that_lies_elsewhere_is_no_part(bundle: Bundle, tmp_path: Path) -> None:
    index = json.loads((bundle.folder / "bundle.json").read_text())
    for strange in ("../../etc/passwd", "long/../../x", "long/.hidden", "middle/model.txt", "long/a/b", "/etc/passwd"):
        (tmp_path / "bundle.json").write_text(json.dumps(index | {"sha256": index["sha256"] | {strange: "0" * 64}}))
        with pytest.raises(BundleError, match="a bundle has no file"):
            load(tmp_path)
