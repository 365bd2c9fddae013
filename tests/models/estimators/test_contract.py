"""What every estimator promises, asked of each that is registered: its registration alone has a further one tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.sides import Side
from trading_assets.models import Bundle, Classifier, Dataset, TrainedModel, join, load, train, write
from trading_assets.models.estimators import Array, Estimator, Fitted, registered
from trading_assets.models.estimators.contract import FILE_NAME
from trading_assets.models.scores import score
from trading_assets.models.trial import Trial
from trading_assets.settings import LabelSettings, ModelSettings, WalkForwardSettings

KINDS = sorted(registered())
NAMES = tuple(f"f{number}" for number in range(6))
CONSTANT, EMPTY = 4, 5


@cache
def rows(count: int, seed: int) -> tuple[Array, Array]:
    """Inputs that move the odds, of which one is constant, one always missing and one sometimes; and the target."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, len(NAMES))) * [1, 10, 1e-3, 1e4, 1, 1] + [0, 5, 0, -1e6, 0, 0]
    target = (rng.random(count) < 1 / (1 + np.exp(-values[:, 0] - 0.1 * (values[:, 1] - 5)))).astype(float)
    values[:, CONSTANT] = 0.1
    values[:, EMPTY] = np.nan
    values[rng.random(count) < 0.1, 0] = np.nan
    return values, target


def shaped(estimator: Estimator[Any], values: Array) -> Array:
    """The rows as the estimator wants them: windows, where it looks back."""
    back = estimator.lookback_rows(estimator.parameters())
    if back == 1:
        return values
    padded = np.concatenate([np.full((back - 1, values.shape[1]), np.nan), values])
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, back, axis=0).transpose(0, 2, 1))


def fitted(estimator: Estimator[Any], *, weights: Array | None = None, seed: int = 7) -> Fitted:
    values, target = rows(3_000, 1)
    given_ = estimator.parameters()
    return estimator.fit(shaped(estimator, values), target, weights, parameters=given_, features=NAMES, seed=seed)


@pytest.fixture(scope="module", params=KINDS)
def estimator(request: pytest.FixtureRequest) -> Estimator[Any]:
    return registered()[request.param]


@pytest.fixture(scope="module")
def model(estimator: Estimator[Any]) -> Fitted:
    return fitted(estimator)


@pytest.fixture(scope="module")
def unseen(estimator: Estimator[Any]) -> Array:
    return shaped(estimator, rows(400, 2)[0])


def close(estimator: Estimator[Any], one: Array, other: Array) -> bool:
    """Equal to the precision that the estimator promises."""
    return bool(
        np.array_equal(one, other) if not estimator.tolerance else np.allclose(one, other, 0, estimator.tolerance)
    )


def test_it_learns_what_is_there(model: Fitted, unseen: Array) -> None:
    values, target = rows(400, 2)
    chance = model.predict_proba(unseen)
    assert chance.dtype == np.float64
    assert ((chance > 0) & (chance < 1)).all()
    known = ~np.isnan(values[:, 0])
    assert score(pl.Series(chance[known]), pl.Series(target[known]))["auc"] > 0.65  # type: ignore[operator]
    assert abs(chance.mean() - target.mean()) < 0.1


def test_a_refit_gives_the_same_files_to_the_last_bit(estimator: Estimator[Any], model: Fitted) -> None:
    assert fitted(estimator).save() == model.save()


def test_a_refit_in_a_process_of_another_number_of_threads_gives_the_same_files(
    estimator: Estimator[Any], model: Fitted, tmp_path: Path
) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_contract import fitted, registered
for name, content in fitted(registered()[{estimator.kind!r}]).save().items():
    open({str(tmp_path)!r} + "/" + name, "wb").write(content)
"""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    subprocess.run([sys.executable, "-c", script], env=os.environ | threads, check=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == model.save()


def test_what_was_saved_predicts_the_same_and_saves_the_same(
    estimator: Estimator[Any], model: Fitted, unseen: Array
) -> None:
    files = model.save()
    again = estimator.load(files, parameters=estimator.parameters(), features=NAMES)
    assert close(estimator, again.predict_proba(unseen), model.predict_proba(unseen))
    assert again.save() == files


def test_the_files_are_plain_and_hold_no_pickle(model: Fitted) -> None:
    files = model.save()
    assert files
    for name, content in files.items():
        assert FILE_NAME.fullmatch(name), name
        assert not content.startswith(b"\x80"), f"{name} begins as a pickle does"
        if not name.endswith(".npz"):
            content.decode()


@settings(max_examples=40)
@given(chosen=st.lists(st.integers(0, 399), min_size=1, max_size=30))
def test_one_row_alone_is_the_row_in_every_batch_and_order(
    estimator: Estimator[Any], model: Fitted, unseen: Array, chosen: list[int]
) -> None:
    whole = model.predict_proba(unseen)[chosen]
    assert close(estimator, model.predict_proba(np.ascontiguousarray(unseen[chosen])), whole)
    alone = np.concatenate([model.predict_proba(unseen[one : one + 1]) for one in chosen])
    assert close(estimator, alone, whole)


def test_asking_changes_neither_rows_nor_model(model: Fitted, unseen: Array) -> None:
    before, files = unseen.copy(), model.save()
    unseen.setflags(write=False)
    model.predict_proba(unseen)
    model.contributions(unseen)
    unseen.setflags(write=True)
    assert np.array_equal(before, unseen, equal_nan=True)
    assert model.save() == files


def test_missing_values_have_an_answer_and_constant_columns_no_say(model: Fitted, unseen: Array) -> None:
    missing = model.predict_proba(np.full_like(unseen, np.nan))
    assert np.isfinite(missing).all()
    assert len(set(missing)) == 1
    moved = unseen.copy()
    moved[..., CONSTANT] += 5
    moved[..., EMPTY] = 3.0
    assert np.array_equal(model.predict_proba(moved), model.predict_proba(unseen))


def test_extreme_values_have_an_answer(model: Fitted, unseen: Array) -> None:
    wild = unseen * np.random.default_rng(3).choice([1e-300, 1.0, -1e12, 1e250], unseen.shape)
    chance = model.predict_proba(wild)
    assert ((chance >= 0) & (chance <= 1)).all()


def test_rows_that_tell_nothing_give_the_share(estimator: Estimator[Any]) -> None:
    _, target = rows(3_000, 1)
    nothing = shaped(estimator, np.full((3_000, len(NAMES)), np.nan))
    asked = {"parameters": estimator.parameters(), "features": NAMES, "seed": 7}
    chance = estimator.fit(nothing, target, None, **asked).predict_proba(nothing[:3])
    assert chance == pytest.approx([target.mean()] * 3, abs=1e-3)


def test_weights_of_one_change_nothing_and_others_count(
    estimator: Estimator[Any], model: Fitted, unseen: Array
) -> None:
    _, target = rows(3_000, 1)
    ones = fitted(estimator, weights=np.ones(3_000))
    assert np.allclose(ones.predict_proba(unseen), model.predict_proba(unseen), 0, max(estimator.tolerance, 1e-12))
    three = np.where(target == 1, 3.0, 1.0)
    heavier = fitted(estimator, weights=three / three.mean()).predict_proba(unseen)
    assert heavier.mean() > model.predict_proba(unseen).mean() + 0.1


def test_shap_values_add_up_to_the_log_odds(model: Fitted, unseen: Array) -> None:
    told = model.contributions(unseen)
    if told is None:
        pytest.skip("this estimator cannot say")
    chance = model.predict_proba(unseen)
    rest = np.log(chance / (1 - chance)) - told.sum(axis=1)
    assert told.shape == (400, len(NAMES))
    assert np.ptp(rest) < 1e-9, "what is left is the average, the same for every row"


# in a bundle


def trained(estimator: Estimator[Any]) -> tuple[TrainedModel, Dataset, ModelSettings]:
    rng = np.random.default_rng(1)
    count = 30 * 96
    values, target = rows(3_000, 1)
    start = pl.datetime(2025, 1, 1, time_zone="UTC", time_unit="us")
    key = pl.select(ts=start + pl.duration(minutes=15) * pl.int_range(count)).select(
        market=pl.lit("sample:A/USDT"), ts="ts", known_at=pl.col("ts") + pl.duration(minutes=15)
    )
    features = key.with_columns(**{name: values[:count, i] for i, name in enumerate(NAMES) if i != EMPTY})
    features = features.with_columns(**{NAMES[EMPTY]: rng.normal(size=count)})
    labels = key.with_columns(
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
        markets=["sample:A/USDT"], walk_forward=WalkForwardSettings(train_days=28), estimator=estimator.parameters()
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
    assert again.spec.estimator == estimator.parameters()
    assert estimator.version() == again.provenance.estimator
    for side in again.sides:
        kept = {file.name: file.read_bytes() for file in (bundle.folder / side.word).iterdir()}
        assert kept == again.classifiers[side].files
    row = pl.DataFrame({name: [0.5] for name in reversed(NAMES)})
    assert again.predict(row, Side.SHORT).equals(bundle.predict(row))


def test_a_sound_model_passes_its_trial(bundle: Bundle) -> None:
    Trial(bundle).wait()


def changed(bundle: Bundle, folder: Path, name: str, content: bytes) -> Bundle:
    """As much of a bundle as a trial looks at, with one file of the long side written anew."""
    long = bundle.classifiers[Side.LONG]
    for other, kept in {**long.files, name: content}.items():
        (folder / other).write_bytes(kept)
    model = Classifier(long.features, long.parameters, {**long.files, name: content})
    return replace(bundle, folder=folder, classifiers={Side.LONG: model}, model_folders={Side.LONG: folder})


def spoilt(content: bytes) -> Iterator[bytes]:
    """Nothing, a pickle, half of it, and numbers that are none."""
    yield b""
    yield b"\x80\x04cos\nsystem\n(S'touch stolen'\ntR."
    yield content[: len(content) // 2]
    yield content.replace(b"0.", b"x.") if b"0." in content else content[::-1]


@pytest.mark.parametrize("how", range(4), ids=["empty", "a pickle", "half", "no number"])
@pytest.mark.slow
def test_a_malformed_file_is_refused_by_name_and_ends_no_process(bundle: Bundle, tmp_path: Path, how: int) -> None:
    for number, (name, content) in enumerate(bundle.classifiers[Side.LONG].files.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        bad = changed(bundle, folder, name, list(spoilt(content))[how])
        with pytest.raises(BundleError, match=rf"{name}.*(is malformed|ends the process|does not answer)"):
            Trial(bad).wait()
        assert not (Path.cwd() / "stolen").exists()


@pytest.mark.slow
def test_a_model_of_other_features_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    long = bundle.classifiers[Side.LONG]
    fewer = changed(bundle, tmp_path, *next(iter(long.files.items())))
    short = Classifier(long.features[:3], long.parameters, long.files)
    with pytest.raises(BundleError, match=r"is malformed|ends the process"):
        Trial(replace(fewer, classifiers={Side.LONG: short})).wait()


def test_a_file_that_the_index_does_not_name_or_that_lies_elsewhere_is_no_part(bundle: Bundle, tmp_path: Path) -> None:
    index = json.loads((bundle.folder / "bundle.json").read_text())
    for strange in ("../../etc/passwd", "long/../../x", "long/.hidden", "middle/model.txt", "long/a/b", "/etc/passwd"):
        (tmp_path / "bundle.json").write_text(json.dumps(index | {"sha256": index["sha256"] | {strange: "0" * 64}}))
        with pytest.raises(BundleError, match="a bundle has no file"):
            load(tmp_path)


def test_a_model_without_one_of_its_files_says_which(estimator: Estimator[Any], model: Fitted) -> None:
    files = model.save()
    for name in files:
        left = {other: content for other, content in files.items() if other != name}
        with pytest.raises(ModelError, match=name):
            estimator.load(left, parameters=estimator.parameters(), features=NAMES)
