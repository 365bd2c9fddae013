"""Long short-term memory: a recurrent network over a window of rows. JAX trains it, NumPy alone predicts.

S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", *Neural Computation* 9, 1997, with the forget gate of
F. Gers et al., "Learning to Forget", *Neural Computation* 12, 2000. The odds of a model that was trained on outcomes of
equal weight are corrected as by G. King and L. Zeng, "Logistic Regression in Rare Events Data", *Political Analysis* 9,
2001.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.models.estimators.deep.arrays import AnyArray, packed, unpacked
from trading_assets.models.estimators.registry import register
from trading_assets.settings import LSTMSettings

FILE: Final = "lstm.npz"

AGREEMENT: Final = 1e-6
"""How far NumPy's probability may be from the one that JAX computes: it trains in single precision."""

_BLOCK: Final = 256
"""Windows that are asked about at once: more need more memory and are no faster."""

_STEP: Final = 1e-9
"""Answers are whole multiples of it: linear algebra adds up in another order for another number of rows, which changes
the last of sixteen digits."""

_CONSTANT: Final = 1e-10
"""A column whose deviation is below this share of its mean is constant up to rounding."""

_RARE: Final = 0.01
"""A column that is missing in a smaller share of the rows, or known in a smaller one, has no input for its absence."""

type _Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scaling:
    """How rows become inputs: scaled values of the useful columns, then the absence of those that are often missing.

    Attributes
    ----------
    mean, deviation
        Of each column; 1 where it has no deviation.
    useful, absent
        Which columns are inputs, and which have their absence as one.
    clip
        Deviations at which a value is cut.
    """

    mean: Array
    deviation: Array
    useful: _Mask
    absent: _Mask
    clip: float

    @classmethod
    def of(cls, rows: Array, counts: Array, clip: float) -> Self:
        """Of training rows, each counting its weight."""
        known = ~np.isnan(rows)
        each = known * counts[:, np.newaxis]
        total = np.maximum(each.sum(axis=0), np.finfo(float).tiny)
        mean = (each * np.where(known, rows, 0.0)).sum(axis=0) / total
        deviation = np.sqrt((each * np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / total)
        useful, there = deviation > _CONSTANT * np.abs(mean), known.mean(axis=0)
        absent = (there > _RARE) & (there < 1 - _RARE)
        return cls(mean, np.where(useful, deviation, 1.0), useful, absent, clip)

    @cached_property
    def inputs(self) -> int:
        """How many there are."""
        return int(self.useful.sum() + self.absent.sum())

    def apply(self, rows: Array) -> Array:
        """``(rows, window, inputs)``; a missing value counts as the mean."""
        with np.errstate(over="ignore"):
            scaled = (rows[..., self.useful] - self.mean[self.useful]) / self.deviation[self.useful]
        scaled = np.clip(np.where(np.isnan(scaled), 0.0, scaled), -self.clip, self.clip)
        return np.concatenate([scaled, np.isnan(rows[..., self.absent])], axis=-1)


@dataclass(frozen=True)
class Weights:
    """The network's own numbers; the rows of ``state`` and ``entry`` are input, forget, cell and output gate.

    Attributes
    ----------
    entry, state, bias
        ``(4 hidden, inputs)``, ``(4 hidden, hidden)`` and ``(4 hidden,)``.
    head, odds
        ``(hidden,)`` and a number: what the last state adds to the log-odds, and what they are without it.
    """

    entry: AnyArray
    state: AnyArray
    bias: AnyArray
    head: AnyArray
    odds: AnyArray


@dataclass(frozen=True)
class Network(Fitted):
    """A trained network.

    Attributes
    ----------
    scaling, weights
        Of the inputs, and of the network.
    """

    scaling: Scaling
    weights: Weights

    def predict_proba(self, rows: Array) -> Array:
        """The answer after the window's last row."""
        parts = [self._block(rows[begin : begin + _BLOCK]) for begin in range(0, len(rows), _BLOCK)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _block(self, rows: Array) -> Array:
        entry, state, bias, head = self._double
        hidden, memory = np.zeros((2, len(rows), len(head)))
        entering = self.scaling.apply(rows) @ entry + bias
        for step in range(rows.shape[1]):
            gates = entering[:, step] + hidden @ state
            into, keep, new, out = np.split(gates, 4, axis=1)
            memory = _sigmoid(keep) * memory + _sigmoid(into) * np.tanh(new)
            hidden = _sigmoid(out) * np.tanh(memory)
        chance = _sigmoid(hidden @ head + float(self.weights.odds))
        return np.asarray(np.round(chance / _STEP) * _STEP)

    @cached_property
    def _double(self) -> tuple[Array, Array, Array, Array]:
        one = self.weights
        return tuple(np.ascontiguousarray(part.T, dtype=float) for part in (one.entry, one.state, one.bias, one.head))  # type: ignore[return-value]

    def save(self) -> Files:
        """One file of ten arrays: double precision of the scaling, single of the weights."""
        return {FILE: packed(vars_of(self.scaling) | vars_of(self.weights))}


@register
class LSTM(Estimator[LSTMSettings]):
    """A recurrent network; it repeats itself on the same kind of processor and version of JAX, to the last bit."""

    parameters = LSTMSettings
    tolerance = 2 * _STEP

    def lookback_rows(self, parameters: LSTMSettings) -> int:
        """Its window."""
        return parameters.window

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: LSTMSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Train on the older rows until the newest ones, purged, are not answered better any more."""
        del features
        counts = np.ones(len(rows)) if weights is None else weights
        older, newer = held_out(times, parameters.validation_share)
        _check(target[older], parameters)
        scaling = Scaling.of(rows[older, -1], counts[older], parameters.clip_deviations)
        if not scaling.inputs:
            return Network(scaling, _without_inputs(target, counts, parameters.hidden))
        training = _training(parameters)
        inputs = np.concatenate(
            [scaling.apply(rows[begin : begin + _BLOCK]).astype(np.float32) for begin in range(0, len(rows), _BLOCK)]
        )
        found = training.train(
            training.Examples(inputs, target, counts), older, newer, parameters=parameters, seed=seed
        )
        return Network(scaling, Weights(**found))

    def load(self, files: Files, *, parameters: LSTMSettings, features: Sequence[str]) -> Fitted:
        """Read the arrays; those that are not of this network's form are refused."""
        if FILE not in files:
            raise ModelError("the model has no such file", where=FILE, remedy="train it again")
        shapes, count, width = dict[str, tuple[int, ...]](), len(features), parameters.hidden
        shapes |= dict.fromkeys(("mean", "deviation", "useful", "absent"), (count,)) | {"clip": ()}
        found = unpacked(files[FILE], (*shapes, *Weights.__dataclass_fields__), FILE)
        inputs = int(found["useful"].sum() + found["absent"].sum())
        shapes |= {"entry": (4 * width, inputs), "state": (4 * width, width), "bias": (4 * width,), "head": (width,)}
        for name, shape in (shapes | {"odds": ()}).items():
            wanted = np.bool_ if name in ("useful", "absent") else np.float64 if name in _SCALES else np.float32
            if found[name].shape != shape or found[name].dtype != wanted:
                raise ModelError(
                    f"{name} has the shape {found[name].shape}; {shape} is that of {count} features and hidden {width}",
                    where=FILE,
                    remedy="train it again",
                )
        if not ((found["deviation"] > 0).all() and found["clip"] > 0):
            raise ModelError("a deviation is not above 0", where=FILE, remedy="train it again")
        weights = Weights(**{name: found.pop(name) for name in Weights.__dataclass_fields__})
        return Network(Scaling(**found | {"clip": float(found["clip"])}), weights)  # type: ignore[arg-type]


_SCALES: Final = ("mean", "deviation", "clip")


def held_out(times: pl.DataFrame, share: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows to train on, and the newest ones that choose the epoch.

    A row trains whose outcome was known before the first of the newest was decided on.
    """
    known_at, label_end = times["known_at"], times["label_end"]
    count = int(share * times.height)
    if count == 0:
        return np.arange(times.height), np.empty(0, np.int64)
    begins = known_at.sort()[-count]
    return (label_end <= begins).arg_true().to_numpy().astype(np.int64), (
        known_at >= begins
    ).arg_true().to_numpy().astype(np.int64)


def _training(parameters: LSTMSettings) -> ModuleType:
    """What knows JAX, imported when it is needed."""
    if lacking := parameters.lacks():
        raise ModelError(f"training {lacking}", where="estimator lstm", remedy="or choose another kind")
    from trading_assets.models.estimators.deep import jax_flags

    with jax_flags.one_thread():
        from trading_assets.models.estimators.deep import lstm_training
    return lstm_training


def vars_of(parts: Scaling | Weights) -> dict[str, AnyArray]:
    """The arrays of a part by name."""
    return {name: np.asarray(getattr(parts, name)) for name in type(parts).__dataclass_fields__}


def _check(older: Array, parameters: LSTMSettings) -> None:
    if 0 < older.sum() < len(older):
        return
    raise ModelError(
        f"the {len(older):,} rows whose outcome is known before the newest {parameters.validation_share:.0%} have one "
        "outcome alone",
        where="estimator lstm",
        remedy="lengthen train_days, or set validation_share: 0",
    )


def _without_inputs(target: Array, counts: Array, hidden: int) -> Weights:
    """A model of no usable column: the share of the target."""
    share = np.average(target, weights=counts)
    shapes = {"entry": (4 * hidden, 0), "state": (4 * hidden, hidden), "bias": (4 * hidden,), "head": (hidden,)}
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return Weights(**zeros, odds=np.array(np.log(share / (1 - share)), np.float32))


def _sigmoid(values: Array) -> Array:
    chance: Array = 0.5 * (1 + np.tanh(0.5 * values))  # never overflows
    return chance
