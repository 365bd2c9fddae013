"""What an MLflow run says: where a bundle comes from, how it was specified, what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trading_assets.models.bundle import Bundle
from trading_assets.registry.trials import CONFIGURATION_TAG, MARKETS_TAG, configuration
from trading_assets.settings import LabelSettings, ModelSettings, RuleStrategySettings, StrategySettings
from trading_assets.settings.sections.section import Section

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param


@dataclass(frozen=True, slots=True)
class MadeOf:
    """What a trial without a bundle was made of.

    Attributes
    ----------
    spec, labels, features
        How it was specified.
    dataset_hash, dataset_rows
        What it learnt from.
    code_version, run_id
        By which code, in which Dagster run.
    """

    spec: StrategySettings
    labels: LabelSettings
    features: Sequence[str]
    dataset_hash: str
    dataset_rows: int
    code_version: str
    run_id: str

    @property
    def tags(self) -> dict[str, str]:
        """Of the MLflow run, named as those of a bundle's."""
        return {
            "dataset_hash": self.dataset_hash,
            "dataset_rows": str(self.dataset_rows),
            "code_version": self.code_version,
            "estimator": learner(self.spec),
            "dagster_run_id": self.run_id,
        }


def lineage(bundle: Bundle) -> dict[str, str]:
    """Tags of a bundle's run and version."""
    provenance = bundle.provenance
    return {
        "bundle_hash": bundle.bundle_hash,
        "feature_fingerprint": bundle.feature_fingerprint,
        "dataset_hash": provenance.dataset_hash,
        "dataset_rows": str(provenance.dataset_rows),
        "train_start": provenance.train_start.isoformat(),
        "train_end": provenance.train_end.isoformat(),
        "code_version": provenance.code_version,
        "estimator": learner(bundle.spec),
        "estimator_version": provenance.estimator,
        "dagster_run_id": provenance.run_id,
        MARKETS_TAG: json.dumps(sorted(bundle.markets)),
        CONFIGURATION_TAG: configuration(
            bundle.spec, bundle.labels, features=bundle.features, fingerprint=bundle.feature_fingerprint
        ),
    }


def learner(spec: StrategySettings) -> str:
    """What decides, in short: the kind of its estimator, or of its rule."""
    if isinstance(spec, RuleStrategySettings):
        return f"rule {spec.rule.kind}"
    return spec.estimator.kind if isinstance(spec, ModelSettings) else spec.kind


def parameters(spec: StrategySettings, labels: LabelSettings, features: Sequence[str]) -> Sequence[Param]:
    """The specification, section by section."""
    from mlflow.entities import Param

    told = spec.model_dump(exclude={"walk_forward", "estimator", "rule"})
    sections: dict[str, Section] = {"walk_forward": spec.walk_forward, "labels": labels}
    if isinstance(spec, ModelSettings):
        sections["estimator"] = spec.estimator
    elif isinstance(spec, RuleStrategySettings):
        sections["rule"] = spec.rule
    nested = {f"{name}.{key}": value for name, part in sections.items() for key, value in part.model_dump().items()}
    return [Param(key, str(value)) for key, value in {**told, **nested, "feature_count": len(features)}.items()]


def measured(metrics: Mapping[str, float]) -> Sequence[Metric]:
    """Metrics as of now."""
    from mlflow.entities import Metric

    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(key, value, now_ms, 0) for key, value in metrics.items()]
