"""Model bundles: a folder with all that a decision needs, and the hashes that prove it is what was tested.

Four content files (see :data:`CONTENT`) hold nothing that depends on the clock or the run; ``bundle.json`` holds their
SHA-256, the bundle's hash over these, and where the bundle came from. So the same data, settings and code give the same
bundle hash, wherever and whenever they are trained.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from trading_assets.errors import BundleError
from trading_assets.models.classifier import Classifier
from trading_assets.models.code_version import code_version
from trading_assets.models.dataset import Dataset
from trading_assets.models.durable import write_folder
from trading_assets.models.training import TrainedModel
from trading_assets.settings import LabelSettings, ModelSettings

CONTENT: Final = ("model.txt", "features.json", "settings.json", "metrics.json")
"""The hashed files: the model in LightGBM's text form, the features with their fingerprint, what the model was
specified and labelled with, and its out-of-sample scores."""

INDEX: Final = "bundle.json"
REMEDY: Final = "materialize candidate again, or deploy another version (trading models lists them)"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Provenance(_Frozen):
    """Where a bundle came from. Times are UTC; windows are of ``known_at``."""

    dataset_hash: str
    dataset_rows: int
    dataset_start: datetime
    dataset_end: datetime
    train_start: datetime
    train_end: datetime
    train_rows: int
    code_version: str
    run_id: str
    created_at: datetime


class _Features(_Frozen):
    features: tuple[str, ...]
    fingerprint: str


class _Settings(_Frozen):
    model: str
    spec: ModelSettings
    labels: LabelSettings


class _Index(_Frozen):
    format: Literal[1] = 1
    bundle_hash: str
    sha256: dict[str, str]
    provenance: Provenance


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
    classifier
        Predicts; loads LightGBM at the first prediction.
    feature_fingerprint
        Of the code and parameters that computed the training features.
    spec, labels
        What the model was specified and labelled with: markets, rule of entry, barriers, horizon.
    metrics
        Out-of-sample scores of its walk-forward.
    provenance
        Data set, training window, code version and run.
    """

    folder: Path
    model: str
    bundle_hash: str
    classifier: Classifier
    feature_fingerprint: str
    spec: ModelSettings
    labels: LabelSettings
    metrics: dict[str, float]
    provenance: Provenance

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns in the order of training."""
        return self.classifier.features

    @property
    def markets(self) -> tuple[str, ...]:
        """The markets that the model trades."""
        return tuple(self.spec.markets)

    def predict(self, features: pl.DataFrame) -> pl.Series:
        """The probability that take-profit comes first, per feature row; see :meth:`Classifier.predict`."""
        return self.classifier.predict(features)


def write(
    bundles_dir: Path,
    *,
    model: str,
    trained: TrainedModel,
    dataset: Dataset,
    spec: ModelSettings,
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
    contents = {
        "model.txt": trained.classifier.text.encode(),
        "features.json": _json(_Features(features=dataset.features, fingerprint=dataset.fingerprint)),
        "settings.json": _json(_Settings(model=model, spec=spec, labels=labels)),
        "metrics.json": _json(dict(metrics)),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
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
    )
    bundle_hash = _combined(hashes)
    folder = bundles_dir / model / bundle_hash[:16]
    if folder.exists():
        try:
            return load(folder, expected_hash=bundle_hash)
        except BundleError:
            folder.replace(folder.with_name(f".broken-{uuid4().hex}"))
    index = _Index(bundle_hash=bundle_hash, sha256=hashes, provenance=provenance)
    write_folder(folder, contents | {INDEX: _json(index)})
    return load(folder, expected_hash=bundle_hash)


def load(folder: Path, *, expected_hash: str | None = None, feature_fingerprint: str | None = None) -> Bundle:
    """Read a bundle and verify every hash.

    Parameters
    ----------
    folder
        The bundle.
    expected_hash
        What its hash must be, e.g. from the deployment manifest.
    feature_fingerprint
        What the features must be computed with, e.g. ``features.fingerprint()`` of the running code.

    Raises
    ------
    BundleError
        If a file is missing, changed or unreadable, or one of the expectations is not met.
    """
    where = str(folder)
    index = _parse(_Index, _read(folder / INDEX), folder / INDEX)
    contents = {name: _read(folder / name) for name in CONTENT}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != index.sha256.get(name):
            raise BundleError(
                f"{name} is not the file that was written: its SHA-256 differs", where=where, remedy=REMEDY
            )
    if _combined(index.sha256) != index.bundle_hash:
        raise BundleError("the bundle hash does not belong to these files", where=where, remedy=REMEDY)
    if expected_hash not in (None, index.bundle_hash):
        raise BundleError(
            f"this is bundle {index.bundle_hash[:16]}, not {str(expected_hash)[:16]}", where=where, remedy=REMEDY
        )
    features = _parse(_Features, contents["features.json"], folder / "features.json")
    if feature_fingerprint not in (None, features.fingerprint):
        raise BundleError(
            f"trained on features {features.fingerprint[:16]}, but this code computes {str(feature_fingerprint)[:16]}",
            where=where,
            remedy="materialize features, walk_forward and candidate with this code, or run the code of the bundle",
        )
    settings = _parse(_Settings, contents["settings.json"], folder / "settings.json")
    return Bundle(
        folder=folder,
        model=settings.model,
        bundle_hash=index.bundle_hash,
        classifier=Classifier(features.features, contents["model.txt"].decode()),
        feature_fingerprint=features.fingerprint,
        spec=settings.spec,
        labels=settings.labels,
        metrics=json.loads(contents["metrics.json"]),
        provenance=index.provenance,
    )


def markets_on_disk(bundles_dir: Path) -> list[tuple[str, ...] | None]:
    """The markets of every bundle that is kept there, intact or not; None where one does not say them."""
    found: list[tuple[str, ...] | None] = []
    for file in bundles_dir.glob(f"[!.]*/[!.]*/{CONTENT[2]}"):
        try:
            found.append(tuple(json.loads(file.read_bytes())["spec"]["markets"]))
        except (OSError, ValueError, KeyError, TypeError):
            found.append(None)
    return found


def _combined(hashes: Mapping[str, str]) -> str:
    lines = "".join(f"{hashes.get(name)}  {name}\n" for name in CONTENT)
    return hashlib.sha256(lines.encode()).hexdigest()


def _json(content: BaseModel | dict[str, Any]) -> bytes:
    plain = content.model_dump(mode="json") if isinstance(content, BaseModel) else content
    return (json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {path.name}: {error.strerror}", where=str(path.parent), remedy=REMEDY) from None


def _parse[M: BaseModel](kind: type[M], content: bytes, path: Path) -> M:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise BundleError(f"{place + ': ' if place else ''}{problem['msg']}", where=str(path), remedy=REMEDY) from None
