"""Model bundles: a folder with all that a decision needs, and the hashes that prove it is what was tested.

The content files hold nothing that depends on the clock or the run: three of JSON (see :data:`CONTENT`), and a folder
for each side that the model trades, with what its fitted estimator saved. ``bundle.json`` holds their SHA-256, the
bundle's hash over these, and where the bundle came from. So the same data, settings and code give the same bundle hash,
wherever and whenever they are trained.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

import polars as pl
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from trading_assets.core.atomic_files import write_folder
from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.sides import Side
from trading_assets.models import bundle_format_1 as format_1
from trading_assets.models.classifier import Classifier
from trading_assets.models.code_version import code_version
from trading_assets.models.dataset import Dataset
from trading_assets.models.estimators.contract import FILE_NAME
from trading_assets.models.training import TrainedModel
from trading_assets.settings import LabelSettings, ModelSettings

CONTENT: Final = ("features.json", "settings.json", "metrics.json")
"""The hashed files beside the model's own: the features with their fingerprint, what the model was specified and
labelled with, and its out-of-sample scores."""

INDEX: Final = "bundle.json"

_NAME: Final = re.compile(rf"features\.json|settings\.json|metrics\.json|(long|short)/{FILE_NAME.pattern}")

REMEDY: Final = "materialize candidate again, or deploy another version (trading models lists them)"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Provenance(_Frozen):
    """Where a bundle came from. Times are UTC; windows are of ``known_at``; the estimator is its library's version."""

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
    estimator: str = ""


class _Features(_Frozen):
    features: tuple[str, ...]
    fingerprint: str


class _Settings(_Frozen):
    model: str
    spec: ModelSettings
    labels: LabelSettings


class _Metrics(RootModel[dict[str, float]]):
    """Out-of-sample scores by name."""


class _Index(_Frozen):
    format: Literal[1, 2] = 2
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
    classifiers
        Predict, one for each side; an estimator's library is loaded at the first prediction.
    model_folders
        Where the files of each side's classifier lie.
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
    classifiers: Mapping[Side, Classifier]
    model_folders: Mapping[Side, Path]
    feature_fingerprint: str
    spec: ModelSettings
    labels: LabelSettings
    metrics: dict[str, float]
    provenance: Provenance

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns in the order of training."""
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
        if side not in self.classifiers:
            raise ModelError(
                f"the model has no {side.word} side", where=f"model {self.model}", remedy="train it with that side"
            )
        return self.classifiers[side].predict(features, history)

    def warm(self) -> None:
        """Predict once on every side: libraries are loaded before the first bar needs them."""
        keys = {"market": [""], "ts": [datetime.now(UTC)]}
        for side, classifier in self.classifiers.items():
            self.predict(pl.DataFrame(keys | {name: [0.0] for name in classifier.features}), side)


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
        "features.json": _json(_Features(features=dataset.features, fingerprint=dataset.fingerprint)),
        "settings.json": _json(_Settings(model=model, spec=spec, labels=labels)),
        "metrics.json": _json(dict(metrics)),
        **{
            f"{side.word}/{name}": content
            for side, classifier in trained.classifiers.items()
            for name, content in classifier.files.items()
        },
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
        estimator=trained.classifier.estimator.version(),
    )
    bundle_hash = _combined(hashes, sorted(hashes))
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
    contents = _verified(index, folder)
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
    described = contents["settings.json"] if index.format == 2 else format_1.settings(contents["settings.json"])
    settings = _parse(_Settings, described, folder / "settings.json")
    models = _models(index, contents)
    if not models:
        raise BundleError("it holds no model", where=where, remedy=REMEDY)
    return Bundle(
        folder=folder,
        model=settings.model,
        bundle_hash=index.bundle_hash,
        classifiers={
            side: Classifier(features.features, settings.spec.estimator, files) for side, files in models.items()
        },
        model_folders={side: folder if index.format == 1 else folder / side.word for side in models},
        feature_fingerprint=features.fingerprint,
        spec=settings.spec,
        labels=settings.labels,
        metrics=_metrics(contents["metrics.json"], folder / "metrics.json"),
        provenance=index.provenance,
    )


def _verified(index: _Index, folder: Path) -> dict[str, bytes]:
    """The content of the files that the index names, each with the hash that stands there."""
    where = str(folder)
    names = format_1.CONTENT if index.format == 1 else tuple(sorted({*CONTENT, *index.sha256}))
    if strange := [name for name in names if name not in format_1.CONTENT and _NAME.fullmatch(name) is None]:
        raise BundleError(f"a bundle has no file {strange[0]!r}", where=where, remedy=REMEDY)
    contents = {name: _read(folder / name) for name in names}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != index.sha256.get(name):
            raise BundleError(
                f"{name} is not the file that was written: its SHA-256 differs", where=where, remedy=REMEDY
            )
    if _combined(index.sha256, names) != index.bundle_hash:
        raise BundleError("the bundle hash does not belong to these files", where=where, remedy=REMEDY)
    return contents


def _models(index: _Index, contents: Mapping[str, bytes]) -> dict[Side, dict[str, bytes]]:
    """The files of each side's model."""
    if index.format == 1:
        return {Side.LONG: {format_1.MODEL: contents[format_1.MODEL]}}
    found: dict[Side, dict[str, bytes]] = {}
    for side in (Side.LONG, Side.SHORT):
        prefix = f"{side.word}/"
        files = {name.removeprefix(prefix): content for name, content in contents.items() if name.startswith(prefix)}
        found |= {side: files} if files else {}
    return found


def _metrics(content: bytes, path: Path) -> dict[str, float]:
    return _parse(_Metrics, content, path).root


def markets_on_disk(bundles_dir: Path) -> list[tuple[str, ...] | None]:
    """The markets of every bundle that is kept there, intact or not; None where one does not say them."""
    found: list[tuple[str, ...] | None] = []
    for file in bundles_dir.glob("[!.]*/[!.]*/settings.json"):
        try:
            found.append(tuple(json.loads(file.read_bytes())["spec"]["markets"]))
        except (OSError, ValueError, KeyError, TypeError):
            found.append(None)
    return found


def _combined(hashes: Mapping[str, str], names: Iterable[str]) -> str:
    lines = "".join(f"{hashes.get(name)}  {name}\n" for name in names)
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
