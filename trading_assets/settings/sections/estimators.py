"""The parameters of estimators: one section per kind, and the place where further kinds are added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
)

from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.ranges import Range, Searched
from trading_assets.settings.sections.section import Fraction, Positive

Device = Literal["cpu", "cuda"]
TRAINS_ON: Final = (
    "What trains it. `cuda` needs a build of the library for CUDA and a device, else training is refused; predictions "
    "are made by the CPU either way."
)


class EstimatorSettings(KindSection):
    """What every estimator has: a kind, and one seed for all that is drawn at random."""

    seed: int = Field(7, description="Of all that is drawn at random in training.")

    def sections(self) -> tuple[EstimatorSettings, ...]:
        """Its own, and those of the estimators that it is made of."""
        return (self,)


class ClassWeighted(EstimatorSettings):
    """An estimator that may count the rarer outcome's rows more."""

    class_weight: Literal["none", "balanced"] = Field(
        "none",
        description="`balanced` lets both outcomes count the same in all, however rare one is. Probabilities are then "
        "those of a market where both are equally frequent: they overstate the rarer outcome, and with it every entry. "
        "Leave it at `none` unless a calibrator puts them right.",
    )

    @model_serializer(mode="wrap")
    def _unweighted_says_nothing(self, content: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without weights it is the same configuration as before there were any: one trial, one hash."""
        said: dict[str, Any] = content(self)
        return {name: one for name, one in said.items() if (name, one) != ("class_weight", "none")}


class LightGBMSettings(ClassWeighted):
    """Gradient boosted trees; training is deterministic. Missing values are a branch of their own.

    The defaults are cautious: outcomes 24 bars ahead overlap, so 300 rows are about a dozen independent ones.
    """

    requires: ClassVar[Mapping[str, str]] = {"lightgbm": "lightgbm"}
    search: ClassVar[Mapping[str, Searched] | None] = {
        "num_boost_round": Range(low=100, high=800, log=True),
        "learning_rate": Range(low=0.01, high=0.1, log=True),
        "num_leaves": Range(low=2, high=16, log=True),
        "min_data_in_leaf": Range(low=50, high=1000, log=True),
        "feature_fraction": Range(low=0.2, high=1.0),
        "bagging_fraction": Range(low=0.3, high=1.0),
        "lambda_l2": Range(low=1.0, high=500.0, log=True),
    }

    kind: Literal["lightgbm"] = "lightgbm"
    num_boost_round: int = Field(400, ge=1, description="Trees.")
    learning_rate: Positive = Field(0.03, description="Share of a tree's answer that is taken.")
    num_leaves: int = Field(4, ge=2, description="Of a tree, at most.")
    min_data_in_leaf: int = Field(300, ge=1, description="Rows.")
    max_bin: int = Field(63, ge=2, description="Steps that a feature is cut into: fewer are faster and fit less noise.")
    feature_fraction: Fraction = Field(0.5, description="Of the features, drawn for each tree.")
    bagging_fraction: Fraction = Field(0.5, description="Of the rows, drawn for each tree.")
    lambda_l2: float = Field(50.0, ge=0, description="Pulls the leaves' values towards 0.")


class XGBoostSettings(ClassWeighted):
    """Gradient boosted trees of another make; training is deterministic. Missing values take a branch of each split.

    Inputs are read in single precision (seven digits). The defaults are as cautious as LightGBM's: few leaves of many
    rows, each pulled towards 0.
    """

    requires: ClassVar[Mapping[str, str]] = {"xgboost": "xgboost-cpu"}
    search: ClassVar[Mapping[str, Searched] | None] = {
        "num_boost_round": Range(low=100, high=800, log=True),
        "learning_rate": Range(low=0.01, high=0.1, log=True),
        "max_leaves": Range(low=2, high=16, log=True),
        "min_child_weight": Range(low=10.0, high=200.0, log=True),
        "colsample_bytree": Range(low=0.2, high=1.0),
        "subsample": Range(low=0.3, high=1.0),
        "reg_lambda": Range(low=1.0, high=500.0, log=True),
    }

    kind: Literal["xgboost"] = "xgboost"
    num_boost_round: int = Field(400, ge=1, description="Trees.")
    learning_rate: Positive = Field(0.03, description="Share of a tree's answer that is taken.")
    max_leaves: int = Field(4, ge=2, description="Of a tree, at most.")
    min_child_weight: float = Field(
        60.0,
        ge=0,
        description="Sum of p (1 - p) over the rows of a leaf, at least: 60 is about 300 rows at a p of 0.3.",
    )
    max_bin: int = Field(64, ge=2, description="Steps that a feature is cut into: fewer are faster and fit less noise.")
    colsample_bytree: float = Field(0.5, gt=0, le=1, description="Of the features, drawn for each tree.")
    subsample: float = Field(0.5, gt=0, le=1, description="Of the rows, drawn for each tree.")
    reg_lambda: float = Field(50.0, ge=0, description="Pulls the leaves' values towards 0.")
    device: Device = Field("cpu", description=TRAINS_ON)


class HistGradientBoostingSettings(ClassWeighted):
    """Gradient boosted trees of scikit-learn; training is deterministic. Missing values take a branch of each split.

    Half as many trees as the other boosters', each taken twice as much of: its training draws no rows, and is the
    slowest of them in one thread. The defaults are as cautious: few leaves of many rows, each pulled towards 0.
    """

    requires: ClassVar[Mapping[str, str]] = {"sklearn": "scikit-learn"}
    search: ClassVar[Mapping[str, Searched] | None] = {
        "max_iter": Range(low=50, high=400, log=True),
        "learning_rate": Range(low=0.02, high=0.2, log=True),
        "max_leaf_nodes": Range(low=2, high=16, log=True),
        "min_samples_leaf": Range(low=50, high=1000, log=True),
        "max_features": Range(low=0.2, high=1.0),
        "l2_regularization": Range(low=1.0, high=500.0, log=True),
    }

    kind: Literal["hist_gradient_boosting"] = "hist_gradient_boosting"
    max_iter: int = Field(200, ge=1, description="Trees.")
    learning_rate: Positive = Field(0.06, description="Share of a tree's answer that is taken.")
    max_leaf_nodes: int = Field(4, ge=2, description="Of a tree, at most.")
    min_samples_leaf: int = Field(300, ge=1, description="Rows.")
    max_bins: int = Field(
        64, ge=2, le=255, description="Steps that a feature is cut into: fewer are faster and fit less noise."
    )
    max_features: float = Field(0.5, gt=0, le=1, description="Share of the features, drawn for each split.")
    l2_regularization: float = Field(50.0, ge=0, description="Pulls the leaves' values towards 0.")


class CatBoostSettings(ClassWeighted):
    """Gradient boosted symmetric trees (CatBoost); training is deterministic on the CPU.

    A missing value goes where the smallest one would. Inputs are read in single precision (seven digits). The defaults
    are as cautious as LightGBM's: trees of two questions, each answer pulled towards 0. What was trained is asked
    without the library.
    """

    trains_with: ClassVar[Mapping[str, str]] = {"catboost": "catboost"}
    extra: ClassVar[str] = "catboost"
    search: ClassVar[Mapping[str, Searched] | None] = {
        "iterations": Range(low=100, high=800, log=True),
        "learning_rate": Range(low=0.01, high=0.1, log=True),
        "depth": Range(low=1, high=4),
        "rsm": Range(low=0.2, high=1.0),
        "subsample": Range(low=0.3, high=1.0),
        "l2_leaf_reg": Range(low=1.0, high=500.0, log=True),
    }

    kind: Literal["catboost"] = "catboost"
    iterations: int = Field(400, ge=1, description="Trees.")
    learning_rate: Positive = Field(0.03, le=1, description="Share of a tree's answer that is taken.")
    depth: int = Field(2, ge=1, le=10, description="Questions of a tree: all rows are asked the same ones.")
    border_count: int = Field(
        64, ge=1, le=255, description="Steps that a feature is cut into: fewer are faster and fit less noise."
    )
    rsm: float = Field(
        0.5, gt=0, le=1, description="Share of the features, drawn for each tree; on CUDA all are taken."
    )
    subsample: float = Field(0.5, gt=0, le=1, description="Share of the rows, drawn for each tree.")
    l2_leaf_reg: float = Field(50.0, ge=0, description="Pulls the leaves' values towards 0.")
    device: Device = Field("cpu", description=TRAINS_ON + " Training on CUDA does not repeat itself to the last bit.")


class LogisticSettings(ClassWeighted):
    """Logistic regression on scaled features (scikit-learn): a linear baseline that trains in seconds.

    Mean and deviation are those of the training rows. A missing value counts as the training mean, a column that is
    constant or missing in all training rows counts nothing. Nothing is drawn at random.
    """

    requires: ClassVar[Mapping[str, str]] = {"sklearn": "scikit-learn"}
    search: ClassVar[Mapping[str, Searched] | None] = {
        "l2": Range(low=0.001, high=10.0, log=True),
        "clip_deviations": Range(low=2.0, high=10.0, log=True),
    }

    kind: Literal["logistic"] = "logistic"
    l2: Positive = Field(
        0.1,
        description="Half of it times the sum of the squared coefficients is added to the mean log loss, so that it "
        "means the same for every length of training.",
    )
    clip_deviations: Positive = Field(
        5.0,
        description="Standard deviations from the mean at which a value is cut: one outlier moves little.",
    )
    max_iterations: int = Field(100, ge=1, description="Newton steps; training that needs more is refused.")


class LSTMSettings(EstimatorSettings):
    """A long short-term memory network over the newest rows of a market: trained by JAX, predicted by NumPy alone.

    Mean and deviation are those of the training rows. A missing value counts as the training mean, and of a feature
    that is now there and now not, its absence is an input too. A column that is constant or missing in all training
    rows counts nothing. Windows of all rows are held in memory: ``window`` times as much as the rows alone.
    """

    trains_with: ClassVar[Mapping[str, str]] = {"jax": "jax", "equinox": "equinox", "optax": "optax"}
    extra: ClassVar[str] = "deep"
    search: ClassVar[Mapping[str, Searched] | None] = {
        "window": Range(low=4, high=64, log=True),
        "hidden": Range(low=8, high=128, log=True),
        "learning_rate": Range(low=0.0003, high=0.01, log=True),
        "dropout": Range(low=0.0, high=0.5),
        "weight_decay": Range(low=0.001, high=0.1, log=True),
    }

    kind: Literal["lstm"] = "lstm"
    window: int = Field(16, ge=2, le=1_000, description="Rows of a market that a prediction reads, its own included.")
    hidden: int = Field(32, ge=1, le=1_024, description="Units of the state.")
    epochs: int = Field(40, ge=1, description="Passes over the training rows, at most.")
    patience: int = Field(5, ge=1, description="Epochs without a better validation loss after which training stops.")
    validation_share: float = Field(
        0.15,
        ge=0,
        le=0.5,
        description="Of the rows, the newest: they choose the epoch. Rows whose outcome was not known before them are "
        "left out. 0 trains for all epochs on all rows.",
    )
    batch: int = Field(256, ge=1, description="Rows of a step.")
    learning_rate: Positive = Field(0.003, description="Of Adam.")
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Share of the state that is hidden from the output in training."
    )
    weight_decay: float = Field(0.01, ge=0, description="Decoupled, of the weights.")
    clip_deviations: Positive = Field(5.0, description="Standard deviations from the mean at which a value is cut.")
    class_weight: Literal["none", "balanced"] = Field(
        "none",
        description="`balanced` counts both outcomes the same in all, however rare one is. The odds are corrected for "
        "it after training, so that a probability stays one.",
    )
    device: Device = Field(
        "cpu",
        description="What trains it; predictions are made by the CPU either way. `cuda` needs a build of JAX for it, "
        "and does not repeat itself to the last bit.",
    )


ESTIMATORS = Kinds(
    EstimatorSettings,
    "an estimator",
    LightGBMSettings,
    XGBoostSettings,
    HistGradientBoostingSettings,
    CatBoostSettings,
    LogisticSettings,
    LSTMSettings,
)

add_estimator_settings = ESTIMATORS.add
estimator_kinds = ESTIMATORS.names

AnyEstimator = Annotated[SerializeAsAny[EstimatorSettings], ESTIMATORS]
"""The section ``estimator`` of a model: parameters by ``kind``."""


class StackSettings(EstimatorSettings):
    """Several estimators as one: the mean of their log-odds, by learnt weights where these beat the plain average.

    Learnt on predictions of rows that no member had seen, and kept where their Brier score beats the average's by more
    than its noise; `stack.json` in the bundle says which. It trains each member once more for every fold.
    """

    search: ClassVar[Mapping[str, Searched] | None] = {}

    kind: Literal["stack"] = "stack"
    members: Annotated[
        tuple[AnyEstimator, ...],
        WithJsonSchema({"type": "array", "items": {"type": "string", "format": "sections of estimators"}}),
    ] = Field(
        default_factory=lambda: (LightGBMSettings(), LogisticSettings()),
        min_length=2,
        max_length=20,
        description="Sections as `estimator` has them, also of plug-ins. Empty: `lightgbm` and `logistic` with their "
        "defaults, which differ most in what they can learn.",
    )
    folds: int = Field(
        3, ge=2, description="Spans of equal time that the training window is cut into, each held out once."
    )
    embargo_days: float = Field(
        1.0,
        ge=0,
        description="Time beside a held-out span in which nothing of the training happens, as in walk-forward.",
    )

    @field_validator("members")
    @classmethod
    def _are_no_stacks(cls, members: tuple[EstimatorSettings, ...]) -> tuple[EstimatorSettings, ...]:
        if any(one.kind == "stack" for one in members):
            raise ValueError("a stack is no member of a stack; name its members instead")
        return members

    def sections(self) -> tuple[EstimatorSettings, ...]:
        """Its own and its members'."""
        return (self, *(section for one in self.members for section in one.sections()))


ESTIMATORS.add(StackSettings)
