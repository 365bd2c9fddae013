"""The LSTM: an epoch of training by JAX, and one window through NumPy, as a node asks it when a bar closes.

An epoch is the difference of two trainings by one epoch and by three, so that neither compiling nor scaling counts. One
window is asked through `Classifier.predict`, its history given, beside the same cell jitted by JAX on the array alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from benchmarks.estimators import p99
from benchmarks.table import Measurement, Target, main
from trading_assets.models import Classifier
from trading_assets.models.estimators import registered
from trading_assets.models.estimators.deep.lstm import Network
from trading_assets.models.estimators.proof_case import times
from trading_assets.settings import LSTMSettings

ROWS, WINDOW, COLUMNS, HIDDEN = 20_000, 48, 40, 64
SHAPE = f"{ROWS:,} x {WINDOW} x {COLUMNS}, hidden {HIDDEN}"
NAMES = tuple(f"feature_{number}" for number in range(COLUMNS))
SETTINGS = LSTMSettings(window=WINDOW, hidden=HIDDEN, validation_share=0, epochs=1)


def run() -> list[Measurement]:
    """Time both; nothing where JAX is not installed."""
    if lacking := SETTINGS.lacks():
        print(f"the LSTM {lacking}")
        return []
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(ROWS, WINDOW, COLUMNS))
    hit = (rng.random(ROWS) < 1 / (1 + np.exp(-rows[:, -3, 0]))).astype(float)
    fit(rows, hit, 1)  # compiles
    one, three = (min(fit(rows, hit, epochs)[0] for _ in range(2)) for epochs in (1, 3))
    measured = [Measurement(f"an epoch of {SHAPE}", (three - one) / 2, ROWS, target=Target(max_seconds=8.0))]
    fitted = fit(rows[:2_000], hit[:2_000], 1)[1]
    frames = [frame(window) for window in rows[:20]]
    classifier = Classifier(NAMES, SETTINGS, fitted.save())
    seconds, peer = p99(
        [(lambda given: classifier.predict(given.tail(1), given), frames), (jitted(fitted), list(rows[:20]))]
    )
    target = Target(max_seconds=10e-3)
    name = f"one window of {WINDOW} x {COLUMNS}, hidden {HIDDEN}, p99"
    return [*measured, Measurement(name, seconds, 0, "JAX, jitted", peer, target=target)]


def fit(rows: Any, hit: Any, epochs: int) -> tuple[float, Any]:
    """Seconds, and what was fitted."""
    parameters = SETTINGS.model_copy(update={"epochs": epochs})
    begin = time.perf_counter()
    fitted = registered()["lstm"].fit(
        rows, hit, None, times=times(len(rows)), parameters=parameters, features=NAMES, seed=7
    )
    return time.perf_counter() - begin, fitted


def frame(window: Any) -> pl.DataFrame:
    """The rows of a window as the node computes them."""
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    opens = [begin + timedelta(minutes=15) * number for number in range(WINDOW)]
    return pl.DataFrame({"market": "sample:A/USDT", "ts": opens} | dict(zip(NAMES, window.T, strict=True)))


def jitted(fitted: Network) -> Callable[[Any], object]:
    """The same network through JAX."""
    import equinox as eqx
    import jax

    from trading_assets.models.estimators.deep import lstm_training

    one = fitted.weights
    cell = eqx.nn.LSTMCell(one.entry.shape[1], HIDDEN, key=jax.random.key(0))
    cell = eqx.tree_at(lambda to: (to.weight_ih, to.weight_hh, to.bias), cell, (one.entry, one.state, one.bias))
    asked = eqx.filter_jit(lstm_training.Network(cell, one.head, one.odds))
    return lambda window: np.asarray(asked(fitted.scaling.apply(window[np.newaxis]).astype(np.float32), 1.0))


if __name__ == "__main__":
    main(run, __doc__, title="LSTM")
