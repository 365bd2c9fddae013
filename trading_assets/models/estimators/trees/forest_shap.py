"""SHAP values of trees: what each feature adds to a row's log-odds, exactly, by NumPy.

The usual answer of a tree that is not told a feature is the mean over its branches, weighted by the rows of training
that took them ("path-dependent"). On the path to one leaf a told feature lets a row through or not (1 or 0), an untold
one lets a share through; so the leaf's game is a product, and the Shapley value of feature ``j`` on it is::

    value x (told_j - share_j) x sum over subsets S of the others of
        |S|! (d - 1 - |S|)! / d! x product of told over S x product of share over the rest

The sum over subsets of equal size is a coefficient of the polynomial ``prod (share + told t)``: a path of ``d``
features takes ``d^2`` steps instead of ``2^d``. S. Lundberg et al., "From local explanations to global understanding
with explainable AI for trees", *Nature Machine Intelligence* 2, 2020; as polynomials: P. Yu et al., "Linear TreeShap",
*Advances in Neural Information Processing Systems* 35, 2022.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Nodes = npt.NDArray[np.intp]
GoesLeft = Callable[[Array, Nodes], npt.NDArray[np.bool_]]
Leaf = tuple[float, Sequence[tuple[int, int, bool, float]]]
"""Its value, and each step to it: feature, node, whether it goes left, share of the rows of training that do."""

_AT_ONCE: Final = 200_000


@dataclass(frozen=True, slots=True)
class _Group:
    """The leaves whose paths ask for equally many features.

    Attributes
    ----------
    value
        ``(leaves,)``
    feature, share
        ``(leaves, features)``: which, and what share of the rows it lets through.
    decision
        ``(leaves, features, steps)``: which decisions let a row through, as positions in: left at each node, right at
        each node, always.
    """

    value: Array
    feature: Nodes
    share: Array
    decision: Nodes


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of all leaves of a forest.

    Attributes
    ----------
    features
        How many there are in a row.
    nodes
        The nodes that decide.
    groups
        The leaves by how many features their paths ask for.
    """

    features: int
    nodes: Nodes
    groups: tuple[_Group, ...]

    @classmethod
    def of(cls, features: int, leaves: Sequence[Leaf]) -> Paths:
        """Group leaves; one at a root has no path and explains nothing."""
        nodes = sorted({node for _, path in leaves for _, node, _, _ in path})
        place = {node: number for number, node in enumerate(nodes)}
        grouped = defaultdict(list)
        for value, path in leaves:
            told: dict[int, tuple[float, list[int]]] = {}
            for feature, node, is_left, share in path:
                before, decisions = told.get(feature, (1.0, []))
                told[feature] = before * share, [*decisions, place[node] + (0 if is_left else len(nodes))]
            if told:
                grouped[len(told)].append((value, told))
        return cls(
            features,
            np.array(nodes, np.intp),
            tuple(_group(count, found, 2 * len(nodes)) for count, found in sorted(grouped.items())),
        )


def shap_values(paths: Paths, rows: Array, goes_left: GoesLeft) -> Array:
    """SHAP values, ``(rows, features)``; with the mean of the trees they add up to the log-odds.

    Parameters
    ----------
    paths
        Of the forest.
    rows
        ``(rows, features)``
    goes_left
        Whether each row takes the left branch, ``(rows, nodes)``.
    """
    out = np.zeros((len(rows), paths.features))
    widest = max((group.decision.size for group in paths.groups), default=1)
    size = max(1, _AT_ONCE // widest)
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        left = goes_left(part, paths.nodes)
        decided = np.concatenate([left, ~left, np.ones((len(part), 1), bool)], axis=1)
        for group in paths.groups:
            _add(group, decided, out[begin : begin + size])
    return out


def _add(group: _Group, decided: npt.NDArray[np.bool_], out: Array) -> None:
    """Add what the features of a group's leaves tell of rows."""
    count = group.feature.shape[1]
    told = decided[:, group.decision].all(axis=3).astype(float)
    sizes = [factorial(size) * factorial(count - 1 - size) / factorial(count) for size in range(count)]
    for own in range(count):
        coefficients = [np.ones(told.shape[:2])]
        for other in range(count):
            if other != own:
                lets, share = told[:, :, other], group.share[:, other]
                lower = [share * coefficient for coefficient in coefficients] + [np.zeros(told.shape[:2])]
                for place, coefficient in enumerate(coefficients):
                    lower[place + 1] = lower[place + 1] + lets * coefficient
                coefficients = lower
        weighed = sum(size * coefficient for size, coefficient in zip(sizes, coefficients, strict=True))
        part = group.value * (told[:, :, own] - group.share[:, own]) * weighed
        for feature in np.unique(group.feature[:, own]):
            out[:, feature] += part[:, group.feature[:, own] == feature].sum(axis=1)


def _group(count: int, found: Sequence[tuple[float, dict[int, tuple[float, list[int]]]]], always: int) -> _Group:
    steps = max(len(decisions) for _, told in found for _, decisions in told.values())
    decision = np.full((len(found), count, steps), always, np.intp)
    for leaf, (_, told) in enumerate(found):
        for slot, (_, decisions) in enumerate(told.values()):
            decision[leaf, slot, : len(decisions)] = decisions
    return _Group(
        np.array([value for value, _ in found]),
        np.array([list(told) for _, told in found], np.intp),
        np.array([[share for share, _ in told.values()] for _, told in found]),
        decision,
    )
