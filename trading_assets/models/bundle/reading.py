"""Reading bundles: every hash is verified, and nothing that stands in the files is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from trading_assets.core.errors import BundleError, ModelError, SettingsError
from trading_assets.core.plugins.seats import Owners, using
from trading_assets.core.sides import Side
from trading_assets.labels import decides_by
from trading_assets.models.bundle import format_1
from trading_assets.models.bundle.bundle import Bundle
from trading_assets.models.bundle.content import (
    CONFIDENCE,
    CONTENT,
    INDEX,
    NAME,
    PAYOFF,
    REMEDY,
    Described,
    Features,
    Index,
    Metrics,
    combined,
    parse,
    read_bytes,
)
from trading_assets.models.bundle.plugins import MadeWith, check_plugins
from trading_assets.models.classifier import Classifier
from trading_assets.models.confidence import Confidence
from trading_assets.models.payoffs import PlanPayoff
from trading_assets.models.record import Record
from trading_assets.settings import ModelSettings


def load(
    folder: Path,
    *,
    expected_hash: str | None = None,
    feature_fingerprint: Callable[[Collection[str]], str] | None = None,
    plugins: Owners | None = None,
) -> Bundle:
    """Read a bundle and verify every hash.

    Parameters
    ----------
    folder
        The bundle.
    expected_hash
        What its hash must be, e.g. from the deployment manifest.
    feature_fingerprint
        What a model's features must be computed with, e.g. ``features.fingerprint`` of the running code; where it is
        given, what says on which bars the model decides must be that of the running code too. A rule's code is looked
        at by :func:`trading_assets.strategies.decisions.check_rule_code`.
    plugins
        The project's plug-ins (``settings.plugged``); None for those of the settings read last.

    Raises
    ------
    BundleError
        If a file is missing, changed or unreadable, one of the expectations is not met, or a plug-in that it was made
        with is not there.
    """
    where = str(folder)
    index = parse(Index, read_bytes(folder / INDEX), folder / INDEX)
    contents = _verified(index, folder)
    if expected_hash not in (None, index.bundle_hash):
        raise BundleError(
            f"this is bundle {index.bundle_hash[:16]}, not {str(expected_hash)[:16]}", where=where, remedy=REMEDY
        )
    features = parse(Features, contents["features.json"], folder / "features.json")
    described = contents["settings.json"] if index.format == 2 else format_1.settings(contents["settings.json"])
    check_plugins(parse(MadeWith, described, folder / "settings.json"), plugins, where)
    with using(plugins):
        settings = parse(Described, described, folder / "settings.json")
    if feature_fingerprint is not None:
        _check_decides(settings, where)
    models = _models(index, contents)
    if not models:
        raise BundleError("it holds no model", where=where, remedy=REMEDY)
    bundle = Bundle(
        folder=folder,
        model=settings.model,
        bundle_hash=index.bundle_hash,
        classifiers={
            side: _learnt(settings, features, side, files, contents, folder) for side, files in models.items()
        },
        model_folders={side: folder if index.format == 1 else folder / side.word for side in models},
        feature_fingerprint=features.fingerprint,
        spec=settings.spec,
        labels=settings.labels,
        metrics=parse(Metrics, contents["metrics.json"], folder / "metrics.json").root,
        provenance=index.provenance,
        plugins=plugins,
        payoffs=_payoffs(settings, tuple(models), contents, folder),
    )
    if feature_fingerprint is not None and isinstance(settings.spec, ModelSettings):
        bundle.check_code(feature_fingerprint(features.features))
    return bundle


def _learnt(
    settings: Described,
    features: Features,
    side: Side,
    files: Mapping[str, bytes],
    contents: Mapping[str, bytes],
    folder: Path,
) -> Classifier | Record:
    name = CONFIDENCE.format(side=side.word)
    try:
        if isinstance(settings.spec, ModelSettings):
            known = Confidence.load(contents[name], name) if name in contents else None
            return Classifier(features.features, settings.spec.estimator, files, known)
        return Record.load(files, side)
    except ModelError as error:
        raise BundleError(error.what, where=f"{folder}: {error.where}", remedy=REMEDY) from None


def _payoffs(
    described: Described, sides: Collection[Side], contents: Mapping[str, bytes], folder: Path
) -> dict[Side, PlanPayoff]:
    """What each side's trades earn and lose; of a plan that is learnt, it is there for each."""
    names = {side: PAYOFF.format(side=side.word) for side in sides}
    if described.labels.barriers == "plan" and (lacking := [name for name in names.values() if name not in contents]):
        raise BundleError(f"it has no {lacking[0]}", where=str(folder), remedy=REMEDY)
    try:
        return {side: PlanPayoff.load(contents[name], name) for side, name in names.items() if name in contents}
    except ModelError as error:
        raise BundleError(error.what, where=f"{folder}: {error.where}", remedy=REMEDY) from None


def _check_decides(described: Described, where: str) -> None:
    """Refuse a model of a rule or a clock that this code has otherwise, or not at all."""
    try:
        same = described.decides == decides_by(described.labels)
    except SettingsError as error:
        raise BundleError(error.what, where=where, remedy=error.remedy) from None
    if not same:
        raise BundleError(
            f"on which bars it decides is said by other code now (label kind {described.labels.kind})",
            where=where,
            remedy="materialize labels, walk_forward and candidate with this code, or run the code of the bundle",
        )


def _verified(index: Index, folder: Path) -> dict[str, bytes]:
    """The content of the files that the index names, each with the hash that stands there."""
    where = str(folder)
    names = format_1.CONTENT if index.format == 1 else tuple(sorted({*CONTENT, *index.sha256}))
    if strange := [name for name in names if name not in format_1.CONTENT and NAME.fullmatch(name) is None]:
        raise BundleError(f"a bundle has no file {strange[0]!r}", where=where, remedy=REMEDY)
    contents = {name: read_bytes(folder / name) for name in names}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != index.sha256.get(name):
            raise BundleError(
                f"{name} is not the file that was written: its SHA-256 differs", where=where, remedy=REMEDY
            )
    if added := _added(folder, names):
        raise BundleError(f"{added} is no file of this bundle", where=where, remedy=f"delete it, or {REMEDY}")
    if combined(index.sha256, names) != index.bundle_hash:
        raise BundleError("the bundle hash does not belong to these files", where=where, remedy=REMEDY)
    return contents


def _added(folder: Path, names: Collection[str]) -> str | None:
    """A file beside those of a side's model, which its reader would be given; None where there is none."""
    for side in {name.split("/")[0] for name in names if "/" in name}:
        try:
            found = sorted(f"{side}/{file.name}" for file in (folder / side).iterdir())
        except OSError as error:
            raise BundleError(f"cannot list {side}: {error.strerror}", where=str(folder), remedy=REMEDY) from None
        if strange := [name for name in found if name not in names]:
            return strange[0]
    return None


def _models(index: Index, contents: Mapping[str, bytes]) -> dict[Side, dict[str, bytes]]:
    """The files of each side's model."""
    if index.format == 1:
        return {Side.LONG: {format_1.MODEL: contents[format_1.MODEL]}}
    found: dict[Side, dict[str, bytes]] = {}
    for side in (Side.LONG, Side.SHORT):
        prefix = f"{side.word}/"
        files = {name.removeprefix(prefix): content for name, content in contents.items() if name.startswith(prefix)}
        found |= {side: files} if files else {}
    return found


def markets_on_disk(bundles_dir: Path) -> list[tuple[str, ...] | None]:
    """The markets of every bundle that is kept there, intact or not; None where one does not say them."""
    found: list[tuple[str, ...] | None] = []
    for file in bundles_dir.glob("[!.]*/[!.]*/settings.json"):
        try:
            found.append(tuple(json.loads(file.read_bytes())["spec"]["markets"]))
        except (OSError, ValueError, KeyError, TypeError):
            found.append(None)
    return found
