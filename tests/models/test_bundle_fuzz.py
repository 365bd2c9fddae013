"""Whatever stands in the files of a bundle, it is refused or a model: no reader of a node ends, nothing is executed."""

from __future__ import annotations

import json
import pickle
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.models.bundle_fuzz import MODEL, REFUSED, SENTINEL, Payload, damaged, payloads, tally
from tests.models.bundles import ESTIMATORS, Content, made
from trading_assets.core.errors import BundleError
from trading_assets.models import load
from trading_assets.models.bundle import CONTENT, INDEX
from trading_assets.models.trial import Trial
from trading_assets.strategies.rules import registered as rules

RULE = f"rule {next(iter(sorted(rules())))}"


@cache
def content_of(kind: str) -> Content:
    with tempfile.TemporaryDirectory() as folder:
        return Content.of(made(kind, Path(folder)))


@pytest.fixture(autouse=True)
def sentinel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SENTINEL, str(tmp_path / "executed"))
    return tmp_path / "executed"


def readable(content: Content, changed: dict[str, bytes]) -> bool:
    """Whether a bundle with changed files, whose hashes belong to them, is read; False where it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            load(content.written(Path(folder), changed))
        except BundleError:
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_damaged_model_is_refused_or_a_model_and_executes_nothing(kind: str, tmp_path: Path) -> None:
    found = tally(kind, 12, tmp_path)
    assert found[REFUSED] > 10
    assert found[REFUSED] + found[MODEL] >= found.total() - 3, found


@examples(60)
@given(seed=st.integers(0, 2**32), name=st.sampled_from([*CONTENT, "long/record.json"]))
def test_damaged_settings_features_scores_and_records_are_refused_or_a_bundle(seed: int, name: str) -> None:
    content = content_of(RULE)
    readable(content, {name: damaged(content.files[name], np.random.default_rng(seed))})


@examples(60)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_index_is_refused_or_the_same_bundle(seed: int) -> None:
    content = content_of(RULE)
    with tempfile.TemporaryDirectory() as folder:
        written = content.written(Path(folder))
        whole = load(written)
        (written / INDEX).write_bytes(damaged((written / INDEX).read_bytes(), np.random.default_rng(seed)))
        try:
            again = load(written)
        except BundleError:
            return
        assert again.classifiers == whole.classifiers


@given(
    said=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    name=st.sampled_from([*CONTENT, "long/record.json"]),
)
@examples(60)
def test_any_json_in_the_place_of_a_file_is_refused_or_a_bundle(said: Any, name: str) -> None:
    readable(content_of(RULE), {name: json.dumps(said).encode()})


def test_a_pickle_in_the_place_of_any_file_is_never_read(sentinel: Path) -> None:
    content = content_of(RULE)
    for name in content.files:
        for bad in payloads(content.files[name]):
            assert not readable(content, {name: bad})
    assert not sentinel.exists()
    pickle.loads(pickle.dumps(Payload()))
    assert sentinel.exists(), "what the payload does where it is unpickled"


def test_a_parameter_of_lightgbm_that_would_end_the_node_is_refused_by_the_trial(tmp_path: Path) -> None:
    """The Python package asks the library for the parameters, which reads beyond a line without a colon."""
    content = content_of("lightgbm")
    bad = content.files["long/model.txt"].replace(b"[eval_at: ]", b"[eval_at; ]")
    bundle = load(content.written(tmp_path / "colon", {"long/model.txt": bad}))
    with pytest.raises(BundleError, match=r"its parameters are malformed: '\[eval_at; \]'"):
        Trial(bundle).wait()
    bad = re.sub(rb"split_feature=\d", b"split_feature=inf", content.files["long/model.txt"], count=1)
    bundle = load(content.written(tmp_path / "infinite", {"long/model.txt": bad}))
    with pytest.raises(BundleError, match="is malformed: tree 0: cannot convert float infinity"):
        Trial(bundle).wait()
