"""The LSTM: NumPy predicts what JAX trained, where JAX is not."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.examples import examples
from trading_assets.core.errors import ModelError
from trading_assets.models.bundle.content import Described, as_json, parse
from trading_assets.models.estimators import Array, Files, registered
from trading_assets.models.estimators.deep.lstm import AGREEMENT, FILE, Network, Scaling, Weights, held_out, vars_of
from trading_assets.models.estimators.proof_case import BEGIN, times
from trading_assets.settings import LabelSettings, LSTMSettings, ModelSettings
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_assets.settings.sections.kinds import TRAINED
from trading_assets.settings.sections.section import Misfit

LSTM = registered()["lstm"]
SMALL = LSTMSettings(window=4, hidden=3, epochs=2, dropout=0.0)
NAMES = ("a", "b", "c")
trains = pytest.mark.skipif(
    LSTMSettings.lacks() is not None, reason=f"training an LSTM {LSTMSettings.lacks()}; predicting is tested"
)


def small() -> Network:
    """Three columns: one with an input for its absence, one that counts nothing."""
    rng = np.random.default_rng(1)
    scaling = Scaling(np.array([1.0, -2e6, 0.1]), np.array([0.5, 1e4, 1.0]), *_MASKS, 5.0)
    shapes = {"entry": (12, 3), "state": (12, 3), "bias": (12,), "head": (3,), "odds": ()}
    return Network(
        scaling, Weights(**{name: np.asarray(rng.normal(size=one), np.float32) for name, one in shapes.items()})
    )


_MASKS = np.array([True, True, False]), np.array([False, True, False])


def windows(count: int, seed: int = 2) -> Array:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 4, 3)) * [1, 1e4, 1] + [1, -2e6, 0]
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


def load(files: Files, parameters: LSTMSettings = SMALL) -> Any:
    return LSTM.load(files, parameters=parameters, features=NAMES)


def one_by_one(network: Network, window: Array) -> float:
    """The equations of the literature, unit by unit in plain Python."""
    scale, w = network.scaling, {name: one.astype(float) for name, one in vars_of(network.weights).items()}
    hidden = memory = np.zeros(3)
    for row in window:
        inputs = [np.clip((row[i] - scale.mean[i]) / scale.deviation[i], -5, 5) for i in (0, 1)]
        inputs = [0.0 if np.isnan(one) else one for one in inputs] + [float(np.isnan(row[1]))]
        said = [w["entry"][u] @ inputs + w["state"][u] @ hidden + w["bias"][u] for u in range(12)]
        gate = [1 / (1 + np.exp(-one)) for one in said]
        memory = np.array([gate[3 + u] * memory[u] + gate[u] * np.tanh(said[6 + u]) for u in range(3)])
        hidden = np.array([gate[9 + u] * np.tanh(memory[u]) for u in range(3)])
    return float(1 / (1 + np.exp(-(hidden @ w["head"] + w["odds"]))))


def test_numpy_computes_the_equations_of_the_literature() -> None:
    rows, network = windows(40), small()
    assert network.predict_proba(rows) == pytest.approx([one_by_one(network, one) for one in rows], abs=2e-9)
    assert load(network.save()).predict_proba(rows).tolist() == network.predict_proba(rows).tolist()


@examples(30)
@given(chosen=st.lists(st.integers(0, 599), min_size=1, max_size=400))
def test_a_window_has_one_answer_wherever_it_stands_in_a_batch(chosen: list[int]) -> None:
    rows, network = windows(600), small()
    whole = network.predict_proba(rows)[chosen]
    assert np.abs(network.predict_proba(rows[chosen]) - whole).max() <= LSTM.tolerance


def test_what_was_trained_predicts_where_jax_cannot_be_imported(tmp_path: Path) -> None:
    rows = windows(5)
    (tmp_path / FILE).write_bytes(small().save()[FILE])
    np.save(tmp_path / "rows.npy", rows)
    script = f"""
import sys
sys.modules |= dict.fromkeys(("jax", "jaxlib", "equinox", "optax"))
import numpy as np
from pathlib import Path
from trading_assets.models.estimators import registered
from trading_assets.models.estimators.loading_trial import problem
from trading_assets.settings import LabelSettings, LSTMSettings, ModelSettings
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_assets.settings.sections.kinds import TRAINED
folder, lstm = Path({str(tmp_path)!r}), registered()["lstm"]
asked = ESTIMATORS.read({SMALL.model_dump(mode="json")!r}, {{TRAINED: True}})
fitted = lstm.load({{"{FILE}": (folder / "{FILE}").read_bytes()}}, parameters=asked, features={NAMES!r})
print(fitted.predict_proba(np.load(folder / "rows.npy")).tolist())
(folder / "rows.npy").unlink()
assert problem(lstm, folder, asked, {NAMES!r}) is None
try:
    ESTIMATORS.read({{"kind": "lstm"}})
except ValueError as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said == [
        str(small().predict_proba(rows).tolist()),
        "the estimator lstm needs jax, which is not installed: install it (uv sync --inexact --extra deep), "
        "or choose another kind",
    ]


def test_settings_need_what_trains_and_bundles_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading_assets.settings.sections.kinds.find_spec", lambda name: None)
    with pytest.raises(Misfit, match=r"needs jax, .*uv sync --inexact --extra deep"):
        ESTIMATORS.read({"kind": "lstm"})
    assert ESTIMATORS.read({"kind": "lstm"}, {TRAINED: True}) == LSTMSettings()
    with pytest.raises(Misfit, match="needs lightgbm"):
        ESTIMATORS.read({"kind": "lightgbm"}, {TRAINED: True})
    rows = windows(400)
    with pytest.raises(ModelError, match=r"training needs jax, which is not installed: install it \(uv sync"):
        fit(rows, (rows[:, 0, 0] > 1).astype(float), SMALL)


def test_a_bundles_description_is_read_without_what_trained_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Described(model="a", spec=ModelSettings(markets=["sample:A/USDT"], estimator=SMALL), labels=LabelSettings())
    written = as_json(told.content())
    monkeypatch.setattr("trading_assets.settings.sections.kinds.find_spec", lambda name: None)
    assert parse(Described, written, Path("settings.json")) == told
    with pytest.raises(ValidationError, match="needs jax"):
        Described.model_validate_json(written)


# files


def spoilt(**changed: Any) -> Files:
    network = small()
    arrays = vars_of(network.scaling) | vars_of(network.weights)
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **{k: v for k, v in (arrays | changed).items() if v is not None})
    return {FILE: content.getvalue()}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"head": np.zeros(4, np.float32)}, "head has the shape"),
        ({"head": np.zeros(3)}, "head has the shape"),
        ({"mean": np.zeros(2)}, "mean has the shape"),
        ({"useful": np.array([True, True, True])}, "entry has the shape"),
        ({"useful": np.ones(3)}, "useful has the shape"),
        ({"odds": np.float32(np.nan)}, "odds does not hold finite numbers"),
        ({"odds": None}, "not absent, bias, clip"),
        ({"more": np.zeros(1)}, "not absent, bias, clip"),
        ({"deviation": np.zeros(3)}, "a deviation is not above 0"),
        ({"clip": np.array(-1.0)}, "a deviation is not above 0"),
        ({"mean": np.array([print, 1, 2], dtype=object)}, "allow_pickle=False"),
        ({"mean": np.array(["a", "b", "c"])}, "mean does not hold finite numbers|no arrays"),
    ],
    ids=str,
)
def test_arrays_of_another_form_are_refused(changed: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said) as refused:
        load(spoilt(**changed))
    assert FILE in str(refused.value)


def test_a_small_file_that_would_fill_the_memory_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (*vars_of(small().scaling), *vars_of(small().weights)):
            archive.writestr(f"{name}.npy", b"\0" * 10_000_000)
    with pytest.raises(ModelError, match="it is compressed"):
        load({FILE: content.getvalue()})
    header = b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }\n"
    for inner in (header, pickle.dumps(print), b""):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name in (*vars_of(small().scaling), *vars_of(small().weights)):
                archive.writestr(f"{name}.npy", inner)
        with pytest.raises(ModelError, match="no arrays of a model"):
            load({FILE: content.getvalue()})


@examples(150)
@given(content=st.binary(max_size=300), at=st.floats(0, 1))
def test_no_content_does_more_than_be_refused_or_predict(content: bytes, at: float) -> None:
    whole = small().save()[FILE]
    place = int(at * len(whole))
    for bad in (content, whole[:place] + content + whole[place:], whole[:place] + content):
        said, answers = "", np.empty(0)
        try:
            answers = load({FILE: bad}).predict_proba(windows(3))
        except ModelError as error:
            said = str(error)
        assert FILE in said or ((answers >= 0) & (answers <= 1)).all()


# what training reads


@given(share=st.floats(0.01, 0.5), life=st.integers(0, 60), lives=st.randoms(use_true_random=False))
def test_no_row_trains_whose_outcome_came_after_the_first_that_chooses_the_epoch(
    share: float, life: int, lives: Any
) -> None:
    frame = times(200).with_columns(
        label_end=pl.col("known_at")
        + pl.Series([timedelta(minutes=15 * lives.randint(0, life)) for _ in range(200)], dtype=pl.Duration("us"))
    )
    older, newer = held_out(frame, share)
    assert newer.tolist() == list(range(200 - int(share * 200), 200))
    begins = BEGIN + timedelta(minutes=15) * int(newer[0]) if len(newer) else None
    expected = [n for n, end in enumerate(frame["label_end"]) if begins is None or end <= begins]
    assert older.tolist() == expected


def test_scaling_leaves_out_what_tells_no_rows_apart() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(500, 5)) * [1, 0, 1, 1, 1] + [0, 0.1, 0, 0, 1e7]
    rows[:, 2] = np.nan
    rows[:100, 3] = np.nan
    scaling = Scaling.of(rows, np.ones(500), 2.0)
    assert scaling.useful.tolist() == [True, False, False, True, True]
    assert scaling.absent.tolist() == [False, False, False, True, False]
    inputs = scaling.apply(rows[:, np.newaxis])
    assert inputs.shape == (500, 1, 4)
    assert np.abs(inputs[..., :3]).max() == 2.0
    assert inputs[:, 0, 3].tolist() == np.isnan(rows[:, 3]).tolist()
    assert not inputs[:100, 0, 1].any(), "a missing value is the mean"


# training


def fit(rows: Array, target: Array, parameters: LSTMSettings) -> Network:
    given_: Any = {"times": times(len(rows)), "parameters": parameters, "features": NAMES, "seed": parameters.seed}
    return LSTM.fit(rows, target, None, **given_)


def remembered(count: int, seed: int, base: float = 0.0) -> tuple[Array, Array]:
    """Windows whose oldest row decides, which the newest one does not know."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 4, 3))
    return rows, (rng.random(count) < 1 / (1 + np.exp(-2 * rows[:, 0, 0] - base))).astype(float)


@pytest.fixture(scope="module")
def learnt() -> Network:
    return fit(*remembered(4_000, 1, -2.5), LSTMSettings(window=4, hidden=8, epochs=30, class_weight="balanced"))


@trains
def test_it_learns_from_rows_before_the_newest_and_says_probabilities(learnt: Network) -> None:
    rows, target = remembered(4_000, 2, -2.5)
    said = learnt.predict_proba(rows)
    order = said.argsort().argsort()
    auc = (order[target == 1].mean() - (target.sum() - 1) / 2) / (target == 0).sum()
    assert auc > 0.8
    assert said.mean() == pytest.approx(target.mean(), abs=0.03), "weighted for balance, and corrected for it"


@trains
def test_numpy_agrees_with_equinoxs_own_cell(learnt: Network) -> None:
    import equinox as eqx
    import jax

    weights, rows = learnt.weights, remembered(300, 3)[0] * 3
    inputs = learnt.scaling.apply(rows).astype(np.float32)
    cell = eqx.nn.LSTMCell(inputs.shape[-1], 8, key=jax.random.key(0))
    cell = eqx.tree_at(
        lambda one: (one.weight_ih, one.weight_hh, one.bias), cell, (weights.entry, weights.state, weights.bias)
    )

    def last(window: Any) -> Any:
        begun = jax.numpy.zeros(8), jax.numpy.zeros(8)
        (hidden, _), _ = jax.lax.scan(lambda state, row: (cell(row, state), None), begun, window)
        return jax.nn.sigmoid(hidden @ weights.head + weights.odds)

    said = np.asarray(jax.jit(jax.vmap(last))(inputs))
    assert np.abs(learnt.predict_proba(rows) - said).max() <= AGREEMENT


@trains
def test_where_the_newest_rows_contradict_it_says_the_share_of_the_target() -> None:
    rows, target = remembered(2_000, 1)
    target[-400:] = 1 - (rows[-400:, 0, 0] > 0)
    said = fit(rows, target, replace_(validation_share=0.2)).predict_proba(rows[:50])
    assert said == pytest.approx(target[: 1_600 - 24].mean(), abs=0.01)
    without = fit(rows, target, replace_(validation_share=0.0)).predict_proba(rows[:50])
    assert np.ptp(without) > 0.1


def replace_(**changed: Any) -> LSTMSettings:
    return SMALL.model_copy(update={"epochs": 6, "hidden": 8, "batch": 64, **changed})


@trains
def test_one_outcome_before_the_newest_rows_is_refused_with_what_to_do() -> None:
    rows, target = remembered(500, 1)
    target[:450] = 0.0
    with pytest.raises(ModelError, match=r"have one outcome alone.*validation_share: 0"):
        fit(rows, target, SMALL)


@trains
def test_a_device_that_is_not_there_is_refused() -> None:
    import jax

    if any(one.platform != "cpu" for one in jax.devices()):
        pytest.skip("this machine has one")
    with pytest.raises(ModelError, match=r"JAX finds no cuda.*set device: cpu"):
        fit(*remembered(500, 1), replace_(device="cuda"))
