"""A LightGBM model's trees as arrays, where these say the same: for questions that the library answers row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from trading_assets.models.estimators.trees.forest import LEAF, Forest

_OBJECTIVE: Final = "objective=binary sigmoid:1"
_CATEGORICAL, _DEFAULT_LEFT, _MISSING, _ZERO, _NAN = 1, 2, 12, 4, 8
"""Bits of a split's ``decision_type``."""


def forest_of(text: str, features: int) -> Forest | None:
    """The trees of a model's text; None where one splits or adds in a way that arrays of splits do not have.

    The numbers are those of the text, read by Python: whoever relies on equal answers compares some.
    """
    head, *blocks = text.partition("end of trees")[0].split("\nTree=")
    if _OBJECTIVE not in head.splitlines() or "average_output" in head.splitlines():
        return None
    nodes: list[tuple[int, float, bool, int, int, float]] = []
    roots: list[int] = []
    for block in blocks:
        tree = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        kinds = [int(word) for word in tree.get("decision_type", "").split()]
        if tree.get("is_linear", "0") != "0" or any(_strange(kind) for kind in kinds):
            return None
        roots.append(len(nodes))
        nodes += _nodes(tree, kinds, len(nodes))
    feature, threshold, missing_left, left, right, value = zip(*nodes, strict=True) if nodes else ((),) * 6
    return Forest(
        "",
        features,
        0.0,
        np.array(roots, np.intp),
        np.array(feature, np.intp),
        np.array(threshold, float),
        np.array(missing_left, bool),
        np.array(left, np.intp),
        np.array(right, np.intp),
        np.array(value, float),
        np.zeros(len(nodes)),
    )


def _strange(kind: int) -> bool:
    """Whether a split is on categories, or takes a zero for a missing value."""
    return bool(kind & _CATEGORICAL) or kind & _MISSING == _ZERO


def _nodes(tree: Mapping[str, str], kinds: list[int], first: int) -> Iterator[tuple[int, float, bool, int, int, float]]:
    """The splits and then the leaves of a tree whose nodes stand from ``first`` on."""
    leaf = first + int(tree["num_leaves"]) - 1
    columns = (tree.get(name, "").split() for name in ("split_feature", "threshold", "left_child", "right_child"))
    for feature, said, *children, kind in zip(*columns, kinds, strict=True):
        # where training saw nothing missing, LightGBM takes a missing value for 0
        missing_left = bool(kind & _DEFAULT_LEFT) if kind & _MISSING == _NAN else float(said) >= 0
        left, right = (first + child if child >= 0 else leaf + ~child for child in map(int, children))
        yield int(feature), float(said), missing_left, left, right, 0.0
    for said in tree["leaf_value"].split():
        yield 0, 0.0, False, LEAF, LEAF, float(said)
