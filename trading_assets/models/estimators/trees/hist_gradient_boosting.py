"""Scikit-learn's gradient boosting by histograms: scikit-learn grows the trees, NumPy alone predicts.

After G. Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", *Advances in Neural Information
Processing Systems* 30, 2017. The library keeps its models as pickles alone; here its trees are columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.models.estimators.class_weights import class_weighted
from trading_assets.models.estimators.contract import Array, Estimator, Files, Fitted
from trading_assets.models.estimators.registry import register
from trading_assets.models.estimators.trees.forest import LEAF, Forest
from trading_assets.settings import HistGradientBoostingSettings

FILE: Final = "hist_gradient_boosting.json"

_LARGEST: Final = float(np.finfo(np.float64).max)
"""Instead of an infinite threshold, by which the library tells a missing value from all others."""


@register
class HistGradientBoosting(Estimator[HistGradientBoostingSettings]):
    """Trees; equal to the last bit in every batch, after every refit, read back, and to the library's own."""

    parameters = HistGradientBoostingSettings

    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: HistGradientBoostingSettings,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Cut each column into steps, grow ``max_iter`` trees on them, and write down where they split.

        The library's own steps are those of the rows where nothing is weighted, and these are the same. With weights it
        would sort every column for each step, and a column without a value ends it.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        del times
        counts = class_weighted(target, weights, parameters)
        if counts is not None and not counts.all():  # rows that count nothing may not make steps either
            rows, target, counts = rows[counts > 0], target[counts > 0], counts[counts > 0]
        found = ((column, _edges(rows[:, column], parameters.max_bins)) for column in range(rows.shape[1]))
        useful = {column: edges for column, edges in found if edges is not None}
        if not useful:
            share = float(np.average(target, weights=counts))
            return _forest(len(features), float(np.log(share / (1 - share))), [], {})
        steps = np.empty((len(rows), len(useful)))
        for place, (column, edges) in enumerate(useful.items()):
            values = rows[:, column]
            steps[:, place] = np.where(np.isnan(values), np.nan, np.searchsorted(edges, values))
        model = HistGradientBoostingClassifier(
            early_stopping=False,
            random_state=seed,
            **parameters.model_dump(exclude={"kind", "seed", "class_weight"}),
        )
        with threadpool_limits(1, user_api="openmp"):  # of this thread alone
            model.fit(steps, target, sample_weight=counts)
        trees = [predictor.nodes for (predictor,) in model._predictors]
        return _forest(len(features), float(model._baseline_prediction[0, 0]), trees, useful)

    def load(self, files: Files, *, parameters: HistGradientBoostingSettings, features: Sequence[str]) -> Fitted:
        """Read the JSON's columns; what are not trees is refused."""
        del parameters
        return Forest.read(FILE, files, features)


def _edges(values: Array, most: int) -> Array | None:
    """Where a column is cut into steps, as the library does without weights; None where it tells no rows apart."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if not distinct.size or (distinct.size == 1 and known.size == values.size):
        return None
    if distinct.size <= most:
        return distinct[:-1] / 2 + distinct[1:] / 2
    return np.unique(np.percentile(known, np.linspace(0, 100, most + 1)[1:-1], method="averaged_inverted_cdf"))


def _forest(features: int, base: float, trees: Sequence[Any], useful: Mapping[int, Array]) -> Forest:
    """The library's trees, whose thresholds lie between two steps, as thresholds of the inputs."""
    edges, columns = list(useful.values()), np.array(list(useful), np.intp)
    starts = np.cumsum([0, *(len(nodes) for nodes in trees)])
    empty = np.empty(0)
    if not trees:
        none = empty.astype(np.intp)
        return Forest(FILE, features, base, none, none, empty, empty.astype(bool), none, none, empty, empty)
    nodes = np.concatenate(trees)
    first = np.repeat(starts[:-1], np.diff(starts))
    leaf = nodes["is_leaf"].astype(bool)
    threshold = np.zeros(len(nodes))
    for node in np.flatnonzero(~leaf):
        cuts, step = edges[nodes["feature_idx"][node]], nodes["num_threshold"][node]
        threshold[node] = cuts[int(step)] if step < len(cuts) else _LARGEST
    return Forest(
        FILE,
        features,
        base,
        starts[:-1].astype(np.intp),
        np.where(leaf, 0, columns[nodes["feature_idx"]]),
        threshold,
        ~leaf & nodes["missing_go_to_left"].astype(bool),
        np.where(leaf, LEAF, first + nodes["left"]),
        np.where(leaf, LEAF, first + nodes["right"]),
        np.where(leaf, nodes["value"], 0.0),
        nodes["count"].astype(float),
    )
