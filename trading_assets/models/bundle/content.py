"""What the files of a bundle hold."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from trading_assets.core.errors import BundleError
from trading_assets.models.estimators.contract import FILE_NAME
from trading_assets.settings import AnyLabels, AnyStrategy
from trading_assets.settings.sections.kinds import TRAINED

CONTENT: Final = ("features.json", "settings.json", "metrics.json")
"""The hashed files beside the model's own: the features with their fingerprint, what the model was specified and
labelled with, and its out-of-sample scores."""

INDEX: Final = "bundle.json"

NAME: Final = re.compile(
    rf"features\.json|settings\.json|metrics\.json|(confidence|payoff)/(long|short)\.json|(long|short)/{FILE_NAME.pattern}"
)

CONFIDENCE: Final = "confidence/{side}.json"
"""What turns a side's scores into probabilities: beside the estimator's files, whose names are its own."""

PAYOFF: Final = "payoff/{side}.json"
"""What a side's trades by an exit plan earn and lose."""

REMEDY: Final = "materialize candidate again, or deploy another version (trading models lists them)"


class Frozen(BaseModel):
    """What is read from JSON: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Provenance(Frozen):
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


class Features(Frozen):
    """``features.json``: the columns in the order of training, and what identifies their code."""

    features: tuple[str, ...]
    fingerprint: str


class Described(Frozen):
    """``settings.json``: the model's name, and what it was specified and labelled with.

    ``decides`` identifies the code that says on which bars it does; it is empty where it does on every one. ``plugins``
    are those that it was made with, by name, each with the hash of its code.
    """

    model: str
    spec: AnyStrategy
    labels: AnyLabels
    decides: str = ""
    plugins: dict[str, str] = {}

    def content(self) -> dict[str, Any]:
        """As it is written: a model without plug-ins says nothing of them."""
        said = self.model_dump(mode="json")
        return said if self.plugins else {name: one for name, one in said.items() if name != "plugins"}


class Metrics(RootModel[dict[str, float]]):
    """Out-of-sample scores by name."""


class Index(Frozen):
    """``bundle.json``: the hash of each file and of them all, and where they came from."""

    format: Literal[1, 2] = 2
    bundle_hash: str
    sha256: dict[str, str]
    provenance: Provenance


def combined(hashes: Mapping[str, str], names: Iterable[str]) -> str:
    """The bundle's hash: SHA-256 over the hashes of its files, in this order."""
    lines = "".join(f"{hashes.get(name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def as_json(content: BaseModel | dict[str, Any]) -> bytes:
    """Sorted and indented, so that equal content is equal to the byte."""
    plain = content.model_dump(mode="json") if isinstance(content, BaseModel) else content
    return (json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_bytes(path: Path) -> bytes:
    """A file of a bundle; one that cannot be read is a ``BundleError``, and so is a link, a pipe or a device.

    A link may lead out of the folder: what it leads to can be exchanged later, and nothing of the bundle would change.
    """
    try:
        if path.parent.is_symlink() and NAME.fullmatch(f"{path.parent.name}/{path.name}"):
            raise OSError(errno.ELOOP, "")
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            with open(handle, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(handle)
    except OSError as error:
        why = "it lies elsewhere, behind a link" if error.errno == errno.ELOOP else error.strerror
        raise BundleError(f"cannot read {path.name}: {why}", where=str(path.parent), remedy=REMEDY) from None


def parse[M: BaseModel](kind: type[M], content: bytes, path: Path) -> M:
    """The content of a file as its type; one that is not of that form is a ``BundleError`` that names it."""
    try:
        return kind.model_validate_json(content, context={TRAINED: True})
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise BundleError(f"{place + ': ' if place else ''}{problem['msg']}", where=str(path), remedy=REMEDY) from None
