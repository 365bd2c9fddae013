"""A model with all that a decision needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import polars as pl

from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.sides import Side
from trading_assets.models.bundle.content import Provenance
from trading_assets.models.payoffs import PlanPayoff
from trading_assets.models.training import Learnt
from trading_assets.models.windows import Matrix
from trading_assets.settings import LabelSettings, RuleStrategySettings, StrategySettings


@dataclass(frozen=True)
class Bundle:
    """A model with all that a decision needs, verified.

    Attributes
    ----------
    folder
        Where it lies.
    model
        The name of the model specification.
    bundle_hash
        SHA-256 over the content files' hashes: the identity of the model.
    classifiers
        Predict, one for each side; an estimator's library is loaded at the first prediction. Of a rule, its records.
    model_folders
        Where the files of each side's classifier lie.
    feature_fingerprint
        Of the code and parameters that computed the training features, or of the code of a rule.
    spec, labels
        What the model was specified and labelled with: markets, rule of entry, barriers, horizon.
    metrics
        Out-of-sample scores of its walk-forward.
    provenance
        Data set, training window, code version and run.
    plugins
        Those of the project that reads it; None for those of the settings read last.
    payoffs
        What each side's trades earn and lose, where the label set is the outcome of an exit plan.
    """

    folder: Path
    model: str
    bundle_hash: str
    classifiers: Mapping[Side, Learnt]
    model_folders: Mapping[Side, Path]
    feature_fingerprint: str
    spec: StrategySettings
    labels: LabelSettings
    metrics: dict[str, float]
    provenance: Provenance
    plugins: Owners | None = None
    payoffs: Mapping[Side, PlanPayoff] = MappingProxyType({})

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns in the order of training; of a rule, what it wants."""
        return next(iter(self.classifiers.values())).features

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that the model trades, long first."""
        return tuple(self.classifiers)

    @property
    def tolerance(self) -> float:
        """How far apart two probabilities of one row may be; 0 promises equality to the last bit."""
        return max(classifier.tolerance for classifier in self.classifiers.values())

    @property
    def markets(self) -> tuple[str, ...]:
        """The markets that the model trades."""
        return tuple(self.spec.markets)

    @property
    def lookback_rows(self) -> int:
        """How many feature rows of a market one prediction reads, its own included."""
        return max(classifier.lookback_rows for classifier in self.classifiers.values())

    def predict(
        self, features: pl.DataFrame, side: Side = Side.LONG, *, history: pl.DataFrame | None = None
    ) -> pl.Series:
        """The probability that take-profit comes first, per feature row; see :meth:`Classifier.predict`.

        Raises
        ------
        ModelError
            If the model has no such side, or as :meth:`Classifier.predict`.
        """
        return self._of(side).predict(features, history)

    def said(
        self, features: pl.DataFrame, side: Side = Side.LONG, *, history: pl.DataFrame | None = None
    ) -> tuple[list[float], list[int] | None]:
        """The probabilities, and the prediction sets where the model makes them; see :meth:`Classifier.said`.

        Raises
        ------
        ModelError
            As :meth:`predict`.
        """
        return self._of(side).said(features, history)

    def said_of(self, values: Matrix, side: Side = Side.LONG) -> tuple[list[float], list[int] | None]:
        """The same of feature rows as numbers, ``(rows, features)``; see :meth:`Classifier.said_of`.

        Raises
        ------
        ModelError
            As :meth:`predict`.
        """
        return self._of(side).said_of(values)

    def _of(self, side: Side) -> Learnt:
        if side not in self.classifiers:
            raise ModelError(
                f"the model has no {side.word} side", where=f"model {self.model}", remedy="train it with that side"
            )
        return self.classifiers[side]

    def check_code(self, fingerprint: str) -> None:
        """Refuse a bundle whose features, or whose rule, other code computes than the one that is running.

        Raises
        ------
        BundleError
            If that is so.
        """
        if fingerprint == self.feature_fingerprint:
            return
        made, runs = self.feature_fingerprint[:16], fingerprint[:16]
        by_rule = isinstance(self.spec, RuleStrategySettings)
        raise BundleError(
            f"its rule was {made}, but this code's is {runs}"
            if by_rule
            else f"trained on features {made}, but this code computes {runs}",
            where=str(self.folder),
            remedy=f"materialize {'' if by_rule else 'features, '}walk_forward and candidate with this code, "
            "or run the code of the bundle",
        )

    def warm(self) -> None:
        """Predict once on every side: libraries are loaded before the first bar needs them."""
        keys = {"market": [""], "ts": [datetime.now(UTC)]}
        for side, classifier in self.classifiers.items():
            self.predict(pl.DataFrame(keys | {name: [0.0] for name in classifier.features}), side)
