"""Training of the LSTM by JAX, Equinox and Optax: the one module that imports them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.contract import Array
from trading_assets.settings import LSTMSettings

_MAX_NORM: Final = 1.0
"""Gradients are cut to this length: R. Pascanu et al., "On the difficulty of training recurrent neural networks", ICML
2013."""

_ASKED: Final = 1_024
"""Rows of a step of the validation."""

type _Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """Scaled windows ``(rows, window, inputs)``, their targets, and what each counts."""

    inputs: npt.NDArray[np.float32]
    target: Array
    counts: Array

    def batches(self, places: _Places, size: int) -> Iterator[tuple[Any, Any, Any]]:
        """Rows in this order, in batches of one size; what is too many in the last one counts nothing."""
        for begin in range(0, len(places), size):
            chosen = places[begin : begin + size]
            counts = np.zeros(size, np.float32)
            counts[: len(chosen)] = self.counts[chosen]
            chosen = np.resize(chosen, size)
            yield self.inputs[chosen], self.target[chosen].astype(np.float32), counts


class Network(eqx.Module):  # type: ignore[misc]
    """The network: a cell, and what its last state says of the log-odds."""

    cell: eqx.nn.LSTMCell
    head: jax.Array
    odds: jax.Array

    def __call__(self, rows: Any, keep: Any) -> Any:
        """The log-odds of windows ``(rows, window, inputs)``; ``keep`` says which units of the last state count."""
        entering = rows @ self.cell.weight_ih.T + self.cell.bias  # of all steps at once: half the time of one by one

        def step(carried: Any, gates: Any) -> Any:
            hidden, memory = carried
            into, stay, new, out = jnp.split(gates + hidden @ self.cell.weight_hh.T, 4, axis=-1)
            memory = jax.nn.sigmoid(stay) * memory + jax.nn.sigmoid(into) * jnp.tanh(new)
            return (jax.nn.sigmoid(out) * jnp.tanh(memory), memory), None

        nothing = jnp.zeros((rows.shape[0], self.cell.hidden_size))
        (hidden, _), _ = jax.lax.scan(step, (nothing, nothing), jnp.swapaxes(entering, 0, 1))
        return (hidden * keep) @ self.head + self.odds


def train(
    examples: Examples, older: _Places, newer: _Places, *, parameters: LSTMSettings, seed: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Train on the older rows; the epoch with the smallest log loss on the newer ones is kept.

    The share of the target alone, before the first epoch, is one of the choices: where rows say nothing, it stays.

    Returns
    -------
    dict
        The arrays of :class:`trading_assets.models.estimators.deep.lstm.Weights`.

    Raises
    ------
    ModelError
        If there is no such device.
    """
    shift, counts = _balance(examples, older, balanced=parameters.class_weight == "balanced")
    taught = Examples(examples.inputs, examples.target, counts)
    with jax.default_device(_device(parameters.device)):
        network = _begun(taught, older, parameters, seed)
        found = _best(network, taught, examples, older, newer, parameters=parameters, seed=seed, shift=shift)
    cell = found.cell
    arrays = {"entry": cell.weight_ih, "state": cell.weight_hh, "bias": cell.bias, "head": found.head}
    return {name: np.asarray(one, np.float32) for name, one in (arrays | {"odds": found.odds + shift}).items()}


def _best(
    network: Network,
    taught: Examples,
    examples: Examples,
    older: _Places,
    newer: _Places,
    *,
    parameters: LSTMSettings,
    seed: int,
    shift: float,
) -> Network:
    """The network of the best epoch, or of the last one where no rows are held out to tell."""
    rng, optimizer = np.random.default_rng(seed), _optimizer(parameters.learning_rate, parameters.weight_decay)
    state = optimizer.init(eqx.filter(network, eqx.is_array))
    best, least, since = network, _loss_on(network, examples, newer, shift), 0
    for _ in range(parameters.epochs):
        for batch in taught.batches(rng.permutation(older), parameters.batch):
            drawn = rng.random((parameters.batch, parameters.hidden), np.float32) >= parameters.dropout
            keep = drawn / np.float32(1 - parameters.dropout)
            network, state = _step(network, state, batch, keep, optimizer)
        if not len(newer):
            best = network
            continue
        loss = _loss_on(network, examples, newer, shift)
        best, least, since = (network, loss, 0) if loss < least else (best, least, since + 1)
        if since >= parameters.patience:
            break
    return best


@cache
def _optimizer(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    def decayed(network: Any) -> Any:
        return jax.tree.map(lambda one: one.ndim > 1, network)

    return optax.chain(
        optax.clip_by_global_norm(_MAX_NORM), optax.adamw(learning_rate, weight_decay=weight_decay, mask=decayed)
    )


def _log_loss(network: Network, batch: Any, keep: Any, shift: float) -> Any:
    inputs, target, counts = batch
    each = optax.sigmoid_binary_cross_entropy(network(inputs, keep) + shift, target)
    return (counts * each).sum(), counts.sum()


@eqx.filter_jit  # type: ignore[untyped-decorator]
def _step(network: Network, state: Any, batch: Any, keep: Any, optimizer: Any) -> Any:
    def mean(one: Network) -> Any:
        total, count = _log_loss(one, batch, keep, 0.0)
        return total / jnp.maximum(count, 1e-9)

    gradients = eqx.filter_grad(mean)(network)
    updates, state = optimizer.update(gradients, state, network)
    return eqx.apply_updates(network, updates), state


@eqx.filter_jit  # type: ignore[untyped-decorator]
def _asked(network: Network, batch: Any, shift: Any) -> Any:
    return _log_loss(network, batch, 1.0, shift)


def _loss_on(network: Network, examples: Examples, places: _Places, shift: float) -> float:
    """The mean log loss, each row counting its weight."""
    parts = [_asked(network, batch, np.float32(shift)) for batch in examples.batches(places, _ASKED)]
    total, count = np.asarray(parts, float).sum(axis=0) if parts else (0.0, 1.0)
    return float(total / count) if count else 0.0


def _begun(examples: Examples, older: _Places, parameters: LSTMSettings, seed: int) -> Network:
    """Random weights that say the share of the target to all rows, and remember at first."""
    cell = eqx.nn.LSTMCell(examples.inputs.shape[-1], parameters.hidden, key=jax.random.key(seed))
    forget = slice(parameters.hidden, 2 * parameters.hidden)
    cell = eqx.tree_at(lambda one: one.bias, cell, cell.bias.at[forget].add(1.0))
    share = np.average(examples.target[older], weights=examples.counts[older])
    return Network(cell, jnp.zeros(parameters.hidden), jnp.asarray(np.log(share / (1 - share)), jnp.float32))


def _balance(examples: Examples, older: _Places, *, balanced: bool) -> tuple[float, Array]:
    """What the log-odds of a model are off that was trained with the weights returned, and these."""
    if not balanced:
        return 0.0, examples.counts
    share = float(np.average(examples.target[older], weights=examples.counts[older]))
    return float(np.log(share / (1 - share))), examples.counts * np.where(
        examples.target == 1, 0.5 / share, 0.5 / (1 - share)
    )


def _device(kind: str) -> Any:
    try:
        return jax.devices(kind)[0]
    except RuntimeError as error:
        raise ModelError(
            f"JAX finds no {kind}: {str(error).splitlines()[0]}",
            where="estimator lstm, device",
            remedy="install JAX for it (uv pip install 'jax[cuda13]'), or set device: cpu",
        ) from None
