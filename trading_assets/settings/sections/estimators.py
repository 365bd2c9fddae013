"""The parameters of estimators: one section per kind, and the place where further kinds are added."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, SerializeAsAny
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from trading_assets.core.errors import SettingsError
from trading_assets.settings.names import instead
from trading_assets.settings.sections.section import Fraction, Misfit, Positive, Section


class EstimatorSettings(Section):
    """What every estimator has: a kind, and one seed for all that is drawn at random."""

    requires: ClassVar[Mapping[str, str]] = {}
    """Module that the estimator imports -> the package that brings it."""

    kind: str
    seed: int = Field(7, description="Of all that is drawn at random in training.")


class LightGBMSettings(EstimatorSettings):
    """Gradient boosted trees; training is deterministic. Missing values are a branch of their own.

    The defaults are cautious: outcomes 24 bars ahead overlap, so 300 rows are about a dozen independent ones.
    """

    requires: ClassVar[Mapping[str, str]] = {"lightgbm": "lightgbm"}

    kind: Literal["lightgbm"] = "lightgbm"
    num_boost_round: int = Field(400, ge=1, description="Trees.")
    learning_rate: Positive = Field(0.03, description="Share of a tree's answer that is taken.")
    num_leaves: int = Field(4, ge=2, description="Of a tree, at most.")
    min_data_in_leaf: int = Field(300, ge=1, description="Rows.")
    max_bin: int = Field(63, ge=2, description="Steps that a feature is cut into: fewer are faster and fit less noise.")
    feature_fraction: Fraction = Field(0.5, description="Of the features, drawn for each tree.")
    bagging_fraction: Fraction = Field(0.5, description="Of the rows, drawn for each tree.")
    lambda_l2: float = Field(50.0, ge=0, description="Pulls the leaves' values towards 0.")


class LogisticSettings(EstimatorSettings):
    """Logistic regression on scaled features (scikit-learn): a linear baseline that trains in seconds.

    Mean and deviation are those of the training rows. A missing value counts as the training mean, a column that is
    constant or missing in all training rows counts nothing. Nothing is drawn at random.
    """

    requires: ClassVar[Mapping[str, str]] = {"sklearn": "scikit-learn"}

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


_KIND: Final = re.compile(r"[a-z][a-z0-9_]*")

_kinds: dict[str, type[EstimatorSettings]] = {"lightgbm": LightGBMSettings, "logistic": LogisticSettings}


def add_estimator_settings(section: type[EstimatorSettings]) -> None:
    """Let the settings know the parameters of a further kind of estimator.

    Parameters
    ----------
    section
        Its ``kind`` has a default: the name under which settings choose it.

    Raises
    ------
    SettingsError
        If the kind has no usable name, or another one has it already.
    """
    kind = section.model_fields["kind"].default
    if not isinstance(kind, str) or _KIND.fullmatch(kind) is None:
        raise SettingsError(
            f"the kind of an estimator cannot be {kind!r}",
            where=f"{section.__module__}.{section.__qualname__}",
            remedy='write kind: Literal["my_kind"] = "my_kind", of small letters, digits and _',
        )
    known = _kinds.setdefault(kind, section)
    if known is not section:
        raise SettingsError(
            f"the estimator {kind!r} is there already, in {known.__module__}",
            where=f"{section.__module__}.{section.__qualname__}",
            remedy="give it another kind",
        )


def estimator_kinds() -> tuple[str, ...]:
    """The kinds that settings may name, sorted."""
    return tuple(sorted(_kinds))


def read_estimator(values: object) -> EstimatorSettings:
    """The parameters of an estimator from a section of the settings.

    Raises
    ------
    Misfit
        If the section names no kind, one that is not known, or one whose library is not installed.
    """
    if isinstance(values, EstimatorSettings):
        return values
    if not isinstance(values, Mapping):
        raise Misfit(f"write a section with a kind, e.g. {{kind: lightgbm}}, not {values!r}")
    kind = values.get("kind")
    if kind is None:
        raise Misfit(f"kind is required: one of {', '.join(estimator_kinds())}")
    section = _kinds.get(str(kind))
    if section is None:
        raise Misfit(f"no estimator {kind!r}; {instead(str(kind), estimator_kinds())}", "kind")
    for module, package in section.requires.items():
        if find_spec(module) is None:
            raise Misfit(
                f"the estimator {kind} needs {package}, which is not installed: install it "
                f"(uv pip install {package}), or choose another kind",
                "kind",
            )
    return section.model_validate(dict(values))


class _ByKind:
    """Validates with the section that ``kind`` names, also one that was added later."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(read_estimator, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core_schema.union_schema([section.__pydantic_core_schema__ for section in _kinds.values()]))


AnyEstimator = Annotated[SerializeAsAny[EstimatorSettings], _ByKind()]
"""The section ``estimator`` of a model: parameters by ``kind``."""
