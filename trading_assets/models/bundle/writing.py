"""Writing bundles: whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from trading_assets.core.atomic_files import write_folder
from trading_assets.core.errors import BundleError
from trading_assets.labels import decides_by
from trading_assets.models.bundle.bundle import Bundle
from trading_assets.models.bundle.content import (
    CONFIDENCE,
    INDEX,
    PAYOFF,
    Described,
    Features,
    Index,
    Provenance,
    as_json,
    combined,
)
from trading_assets.models.bundle.plugins import made_with
from trading_assets.models.bundle.reading import load
from trading_assets.models.classifier import Classifier
from trading_assets.models.code_version import code_version
from trading_assets.models.dataset import Dataset
from trading_assets.models.training import TrainedModel
from trading_assets.settings import LabelSettings, StrategySettings


def write(
    bundles_dir: Path,
    *,
    model: str,
    trained: TrainedModel,
    dataset: Dataset,
    spec: StrategySettings,
    labels: LabelSettings,
    metrics: Mapping[str, float],
    run_id: str = "",
) -> Bundle:
    """Write a bundle to ``<bundles_dir>/<model>/<first 16 digits of its hash>``, whole or not at all.

    Where an intact bundle of the same content is there already, it stays with the provenance of its first run.

    Parameters
    ----------
    bundles_dir
        The folder of all bundles.
    model
        The name of the model specification.
    trained, dataset, spec, labels
        The model, what it was trained on, and how.
    metrics
        Out-of-sample scores, e.g. of :func:`trading_assets.models.scores.summary`.
    run_id
        The Dagster run.

    Returns
    -------
    Bundle
        Read back and verified.
    """
    described = Described(
        model=model,
        spec=spec,
        labels=labels,
        decides=decides_by(labels),
        plugins=made_with(dataset.features, (spec, labels), dataset.plugins),
    )
    contents = {
        "features.json": as_json(Features(features=dataset.features, fingerprint=dataset.fingerprint)),
        "settings.json": as_json(described.content()),
        "metrics.json": as_json(dict(metrics)),
        **{
            f"{side.word}/{name}": content
            for side, classifier in trained.classifiers.items()
            for name, content in classifier.files.items()
        },
        **{
            CONFIDENCE.format(side=side.word): classifier.confidence.save()
            for side, classifier in trained.classifiers.items()
            if isinstance(classifier, Classifier) and classifier.confidence is not None
        },
        **{PAYOFF.format(side=side.word): known.save() for side, known in trained.payoffs.items()},
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    learnt = trained.classifier
    provenance = Provenance(
        dataset_hash=dataset.content_hash,
        dataset_rows=dataset.frame.height,
        dataset_start=dataset.start,
        dataset_end=dataset.end,
        train_start=trained.train_start,
        train_end=trained.train_end,
        train_rows=trained.rows,
        code_version=code_version(),
        run_id=run_id,
        created_at=datetime.now(UTC),
        estimator=learnt.estimator.version(learnt.parameters) if isinstance(learnt, Classifier) else "",
    )
    bundle_hash = combined(hashes, sorted(hashes))
    folder = bundles_dir / model / bundle_hash[:16]
    if folder.exists():
        try:
            return load(folder, expected_hash=bundle_hash, plugins=dataset.plugins)
        except BundleError:
            folder.replace(folder.with_name(f".broken-{uuid4().hex}"))
    index = Index(bundle_hash=bundle_hash, sha256=hashes, provenance=provenance)
    write_folder(folder, contents | {INDEX: as_json(index)})
    return load(folder, expected_hash=bundle_hash, plugins=dataset.plugins)
