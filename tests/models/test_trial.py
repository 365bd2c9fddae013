"""A malformed model is refused by a process of its own, which is the one that it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import lightgbm
import numpy as np
import pytest

from trading_assets.core.errors import BundleError
from trading_assets.core.sides import Side
from trading_assets.models import Bundle, Classifier
from trading_assets.models.estimators.trees.lightgbm_text import problem
from trading_assets.models.trial import Trial
from trading_assets.settings import LightGBMSettings

FEATURES = 3


@pytest.fixture(scope="module")
def text() -> str:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, FEATURES))
    settings = {"objective": "binary", "num_leaves": 6, "verbose": -1, "num_threads": 1}
    data = lightgbm.Dataset(rows, (rows[:, 0] + rows[:, 1] > 0).astype(int))
    return str(lightgbm.train(settings, data, 4).model_to_string())


def bundle(folder: Path, text: str, features: int = FEATURES) -> Bundle:
    """As much of a bundle as a trial looks at."""
    (folder / "model.txt").write_text(text)
    model = Classifier(tuple("abcdefgh"[:features]), LightGBMSettings(), {"model.txt": text.encode()})
    return cast(
        "Bundle", SimpleNamespace(folder=folder, classifiers={Side.LONG: model}, model_folders={Side.LONG: folder})
    )


def spoilt(text: str, name: str, value: str) -> str:
    """The model with a line of its first tree changed."""
    return re.sub(rf"^{name}=.*$", f"{name}={value}", text, count=1, flags=re.MULTILINE)


def test_a_sound_model_passes(tmp_path: Path, text: str) -> None:
    Trial(bundle(tmp_path, text)).wait()
    assert problem(text, FEATURES) is None


@pytest.mark.slow
def test_what_is_refused_here_would_have_ended_this_process(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text(re.sub(r"tree_sizes=\d+", "tree_sizes=5", text))
    code = f"import lightgbm; lightgbm.Booster(model_file={str(tmp_path / 'model.txt')!r})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode < 0
    with pytest.raises(BundleError, match=r"model\.txt \(lightgbm, long\) ends the process that loads it \(signal 6\)"):
        Trial(bundle(tmp_path, (tmp_path / "model.txt").read_text())).wait()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("left_child", "1 2 3 4 99", "its nodes are not one tree"),
        ("left_child", "0 0 0 0 0", "its nodes are not one tree"),
        ("right_child", "-2", "right_child should have 5 entries"),
        ("split_feature", "0 1 2 3 0", "splits on a feature beyond the 3"),
        ("split_feature", "0 1 -1 2 0", "splits on a feature beyond the 3"),
        ("leaf_value", "0.5", "another number of values"),
        ("num_leaves", "x", "is missing or no list of numbers"),
        ("threshold", "a b c d e", "is missing or no list of numbers"),
    ],
)
def test_a_malformed_tree_is_named(tmp_path: Path, text: str, name: str, value: str, says: str) -> None:
    with pytest.raises(BundleError, match=f"the model in model.txt .lightgbm, long. is malformed: .*{says}"):
        Trial(bundle(tmp_path, spoilt(text, name, value))).wait()


@pytest.mark.parametrize("content", ["", "tree\nversion=v4\n", "\x00\x01", "Tree=0\n" * 3])
def test_a_text_that_is_no_model_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(BundleError, match=r"malformed|ends the process"):
        Trial(bundle(tmp_path, content)).wait()


def test_a_model_of_other_features_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BundleError, match=r"splits on a feature beyond|trained on 3 features, not on 2"):
        Trial(bundle(tmp_path, text, features=2)).wait()


def test_a_model_that_never_answers_is_given_up(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading_assets.models.trial._LIMIT_S", 0.0)
    with pytest.raises(BundleError, match="does not answer within 0 s"):
        Trial(bundle(tmp_path, text)).wait()
