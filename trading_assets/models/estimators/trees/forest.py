"""Boosted trees as arrays: asked, explained and saved by NumPy alone, whatever library grew them.

A row's log-odds are added up tree by tree, so that they are the same to the last bit in every batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading_assets.core.errors import ModelError
from trading_assets.models.estimators.contract import Array, Files, Fitted, Replaced
from trading_assets.models.estimators.trees.forest_shap import Paths, shap_values

Nodes = npt.NDArray[np.intp]

LEAF: Final = -1
"""Where a node has no branches."""

_NONE: Final = np.empty(0, np.intp)

_AT_ONCE: Final = 100_000
"""Answers of single trees that are worked on together: they fit a core's cache."""


class _Saved(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    features: int = Field(ge=0)
    base: float
    roots: list[int]
    feature: list[int]
    threshold: list[float]
    missing_left: list[bool]
    left: list[int]
    right: list[int]
    value: list[float]
    cover: list[float]


@dataclass(frozen=True)
class Forest(Fitted):
    """Trees that are added up to the log-odds.

    Nodes of a tree stand together, its root first, branches after their parent.

    Attributes
    ----------
    file
        By which name it is saved.
    features
        How many inputs a row has.
    base
        The log-odds before any tree.
    roots
        The first node of each tree, ascending.
    feature, threshold, missing_left
        Of each node: a row takes the left branch where the feature is at most the threshold, or is missing and
        ``missing_left``. Zeros at a leaf.
    left, right
        The branches of each node; ``LEAF`` at a leaf.
    value
        What each leaf adds.
    cover
        The rows of training, or their weights, that came to each node: what SHAP values take for the usual.
    """

    file: str
    features: int
    base: float
    roots: Nodes
    feature: Nodes
    threshold: Array
    missing_left: npt.NDArray[np.bool_]
    left: Nodes
    right: Nodes
    value: Array
    cover: Array

    def predict_proba(self, rows: Array) -> Array:
        """The probability of the log-odds."""
        from scipy.special import expit

        chance: Array = expit(self.odds(rows))
        return chance

    def odds(self, rows: Array) -> Array:
        """The log-odds of each row: the base, then each tree in turn."""
        size = max(1, _AT_ONCE // max(1, len(self.roots)))
        parts = [self._odds(rows[begin : begin + size]) for begin in range(0, len(rows), size)]
        return np.concatenate(parts) if parts else np.empty(0)

    def replacing(self, rows: Array) -> Replaced:
        """The same to the last bit, asking anew only those trees that read the column."""
        from scipy.special import expit

        added = np.empty((len(self.roots) + 1, len(rows)))
        added[0], added[1:] = self.base, self._answers(rows, self.roots).T
        other = rows.copy()

        def ask(column: int, values: Array) -> Array:
            trees = self._readers.get(column, _NONE)
            kept, other[:, column] = added[trees + 1], values
            added[trees + 1] = self._answers(other, self.roots[trees]).T
            # down the columns, one after another; a single column would be summed in pairs
            odds = np.add.reduce(added, axis=0) if len(rows) > 1 else np.cumsum(added, axis=0)[-1]
            added[trees + 1], other[:, column] = kept, rows[:, column]
            chance: Array = expit(odds)
            return chance

        return ask

    def contributions(self, rows: Array) -> Array:
        """Exact SHAP values of trees (path-dependent)."""
        return shap_values(self._paths, rows, self.goes_left)

    def save(self) -> Files:
        """One JSON file of columns."""
        saved = _Saved(
            features=self.features,
            base=self.base,
            roots=self.roots.tolist(),
            feature=self.feature.tolist(),
            threshold=self.threshold.tolist(),
            missing_left=self.missing_left.tolist(),
            left=self.left.tolist(),
            right=self.right.tolist(),
            value=self.value.tolist(),
            cover=self.cover.tolist(),
        )
        return {self.file: (saved.model_dump_json() + "\n").encode()}

    @classmethod
    def read(cls, file: str, files: Files, features: Sequence[str]) -> Forest:
        """What :meth:`save` gave.

        Raises
        ------
        ModelError
            If the file is missing or malformed, or the trees were trained on another number of features.
        """
        if file not in files:
            raise ModelError("the model has no such file", where=file, remedy="train it again")
        try:
            saved = _Saved.model_validate_json(files[file])
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise ModelError(f"{place}: {wrong['msg']}", where=file, remedy="train it again") from None
        if saved.features != len(features):
            raise ModelError(
                f"the model was trained on {saved.features} features, not on {len(features)}",
                where=file,
                remedy="train it again",
            )
        if (problem := _problem(saved)) is not None:
            raise ModelError(problem, where=file, remedy="train it again")
        return cls(
            file,
            saved.features,
            saved.base,
            np.array(saved.roots, np.intp),
            np.array(saved.feature, np.intp),
            np.array(saved.threshold, float),
            np.array(saved.missing_left, bool),
            np.array(saved.left, np.intp),
            np.array(saved.right, np.intp),
            np.array(saved.value, float),
            np.array(saved.cover, float),
        )

    def goes_left(self, rows: Array, nodes: Nodes) -> npt.NDArray[np.bool_]:
        """Whether each row takes the left branch at nodes, ``(rows, nodes)`` or one set of nodes for all rows."""
        each = np.arange(len(rows))[:, np.newaxis]
        values = rows[each, self.feature[nodes]]
        return (values <= self.threshold[nodes]) | (np.isnan(values) & self.missing_left[nodes])

    @cached_property
    def depth(self) -> int:
        """How many branches lead to the deepest leaf."""
        depth = np.zeros(len(self.left), np.intp)
        for node, (left, right) in enumerate(zip(self.left, self.right, strict=True)):  # parents first
            if left != LEAF:
                depth[[left, right]] = depth[node] + 1
        return int(depth.max(initial=0))

    @cached_property
    def _steps(self) -> tuple[Nodes, Nodes]:
        """The branches, where a leaf leads to itself."""
        own = np.arange(len(self.left))
        return np.where(self.left == LEAF, own, self.left), np.where(self.right == LEAF, own, self.right)

    @cached_property
    def _paths(self) -> Paths:
        return Paths.of(self.features, list(self._leaves()))

    @cached_property
    def _readers(self) -> dict[int, Nodes]:
        """Feature -> the numbers of the trees that split on it."""
        split = np.flatnonzero(self.left != LEAF)
        tree = np.searchsorted(self.roots, split, side="right") - 1
        return {int(one): np.unique(tree[self.feature[split] == one]) for one in np.unique(self.feature[split])}

    def _answers(self, rows: Array, roots: Nodes) -> Array:
        """What each of these trees adds to each row, ``(rows, trees)``."""
        left, right = self._steps
        node = np.broadcast_to(roots, (len(rows), len(roots)))
        for _ in range(self.depth):
            node = np.where(self.goes_left(rows, node), left[node], right[node])
        answers: Array = self.value[node]
        return answers

    def _odds(self, rows: Array) -> Array:
        added = np.empty((len(rows), len(self.roots) + 1))
        added[:, 0] = self.base
        added[:, 1:] = self._answers(rows, self.roots)
        odds: Array = np.cumsum(added, axis=1)[:, -1]  # one after another: a sum would pair them up
        return odds

    def _leaves(self) -> Iterator[tuple[float, list[tuple[int, int, bool, float]]]]:
        """The value of each leaf, and its path: feature, node, whether it goes left, share of the rows that do."""
        for root in self.roots:
            open_nodes: list[tuple[int, list[tuple[int, int, bool, float]]]] = [(int(root), [])]
            while open_nodes:
                node, path = open_nodes.pop()
                if self.left[node] == LEAF:
                    yield float(self.value[node]), path
                    continue
                for child, is_left in ((int(self.left[node]), True), (int(self.right[node]), False)):
                    share = float(self.cover[child] / self.cover[node]) if self.cover[node] else 0.5
                    open_nodes.append((child, [*path, (int(self.feature[node]), node, is_left, share)]))


def _problem(saved: _Saved) -> str | None:
    """What is wrong with the trees: None where every row comes to a leaf."""
    nodes = len(saved.left)
    columns = (saved.feature, saved.threshold, saved.missing_left, saved.right, saved.value, saved.cover)
    if any(len(column) != nodes for column in columns):
        return "its columns differ in length"
    if any(not 0 <= column < max(saved.features, 1) for column in saved.feature):
        return f"it splits on a feature beyond its {saved.features}"
    first = [*saved.roots, nodes]
    if sorted(set(first)) != first or first[0] != 0:
        return "its roots are not the first nodes of its trees"
    roots, ends = set(saved.roots), np.repeat(first[1:], np.diff(first))
    children: list[int] = []
    for node, pair in enumerate(zip(saved.left, saved.right, strict=True)):
        if pair == (LEAF, LEAF):
            continue
        if min(pair) <= node or max(pair) >= ends[node]:
            return "its nodes are not trees: a branch leads up, or into another tree"
        parts = [saved.cover[child] for child in pair]
        if min(parts) < 0 or abs(sum(parts) - saved.cover[node]) > 1e-6 * saved.cover[node]:
            return "the rows of a node are not those of its branches"
        children += pair
    if sorted(children) != [node for node in range(nodes) if node not in roots]:
        return "its nodes are not trees: a branch is missing, or named twice"
    return None
