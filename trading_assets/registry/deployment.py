"""The node's deployment manifest: which bundles are live, in one file that is swapped as a whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import ModelError
from trading_assets.core.locks import locked
from trading_assets.models.bundle import Bundle

MANIFEST: Final = "deployment.json"


class DeployedModel(BaseModel):
    """A model version that the node trades.

    Threshold, barriers, horizon and features are not repeated here: they come from the bundle, verified against
    ``bundle_hash``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)
    version: int = Field(ge=1)
    bundle: str = Field(min_length=1, description="The bundle's folder; relative ones start at the data folder.")
    bundle_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    markets: tuple[str, ...] = Field(min_length=1)
    deployed_at: AwareDatetime

    @classmethod
    def of(cls, bundle: Bundle, version: int, data_dir: Path, at: datetime) -> DeployedModel:
        """What the manifest says of a bundle; its folder from the data folder on, where it lies there."""
        inside = bundle.folder.is_relative_to(data_dir)
        folder = bundle.folder.relative_to(data_dir) if inside else bundle.folder
        return cls(
            model=bundle.model,
            version=version,
            bundle=folder.as_posix(),
            bundle_hash=bundle.bundle_hash,
            markets=bundle.markets,
            deployed_at=at,
        )

    def folder(self, data_dir: Path) -> Path:
        """The bundle's folder."""
        return data_dir / self.bundle


class Manifest(BaseModel):
    """All deployed models, by name.

    Attributes
    ----------
    models
        What trades.
    challengers
        What decides in shadow beside the model of its name: by version, ascending, none twice.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    models: dict[str, DeployedModel] = {}
    challengers: dict[str, tuple[DeployedModel, ...]] = {}

    @model_validator(mode="after")
    def _named_alike(self) -> Manifest:
        shadows = ((name, one) for name, several in self.challengers.items() for one in several)
        for name, deployed in (*self.models.items(), *shadows):
            if name != deployed.model:
                raise ValueError(f"model {deployed.model!r} stands under the name {name!r}")
        return self

    @property
    def changed_at(self) -> datetime | None:
        """When the newest deployment was made."""
        return max((deployed.deployed_at for deployed in self.models.values()), default=None)


def read_manifest(live_dir: Path) -> Manifest:
    """Read the manifest; without a file, nothing is deployed.

    Raises
    ------
    ModelError
        If the file cannot be read or is not a manifest.
    """
    file = live_dir / MANIFEST
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Manifest()
    except OSError as error:
        raise ModelError(f"cannot read it: {error.strerror}", where=str(file)) from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise ModelError(
            f"not a deployment manifest: {place + ': ' if place else ''}{problem['msg'].removeprefix('Value error, ')}",
            where=str(file),
            remedy="remove the file and materialize deployment again",
        ) from None


def write_manifest(live_dir: Path, manifest: Manifest) -> None:
    """Swap the manifest: a reader sees the old one or the new one, also after a crash."""
    write_file(live_dir / MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())


def deploy(live_dir: Path, deployed: DeployedModel) -> Manifest:
    """Put one model into the manifest in place of its former version; the other models stay.

    A challenger that is deployed is none any more. Deploying what is deployed already changes nothing.

    Raises
    ------
    ModelError
        If the present manifest is broken.
    """
    with locked(_lock(live_dir)):
        present = read_manifest(live_dir)
        former = present.models.get(deployed.model)
        if former is not None and former.model_copy(update={"deployed_at": deployed.deployed_at}) == deployed:
            return present
        manifest = Manifest(
            models={**present.models, deployed.model: deployed},
            challengers=_without(present, deployed.model, deployed.version),
        )
        write_manifest(live_dir, manifest)
        return manifest


def undeploy(live_dir: Path, model: str) -> Manifest:
    """Take one model out of the manifest."""
    with locked(_lock(live_dir)):
        present = read_manifest(live_dir)
        kept = {name: other for name, other in present.models.items() if name != model}
        manifest = Manifest(models=kept, challengers=present.challengers)
        write_manifest(live_dir, manifest)
        return manifest


def shadow(live_dir: Path, challenger: DeployedModel) -> Manifest:
    """Let a version decide in shadow beside the model of its name. One that does so already stays as it is.

    Raises
    ------
    ModelError
        If the version is the one that trades, or the present manifest is broken.
    """
    name, version = challenger.model, challenger.version
    with locked(_lock(live_dir)):
        present = read_manifest(live_dir)
        if (trades := present.models.get(name)) is not None and trades.version == version:
            raise ModelError("it trades: it is no challenger", where=f"model {name} version {version}")
        others = present.challengers.get(name, ())
        if any(one.model_copy(update={"deployed_at": challenger.deployed_at}) == challenger for one in others):
            return present
        several = (*(one for one in others if one.version != version), challenger)
        ordered = tuple(sorted(several, key=lambda one: one.version))
        manifest = Manifest(models=present.models, challengers=present.challengers | {name: ordered})
        write_manifest(live_dir, manifest)
        return manifest


def unshadow(live_dir: Path, model: str, version: int | None = None) -> Manifest:
    """Take a challenger out of the manifest, or all of a model."""
    with locked(_lock(live_dir)):
        present = read_manifest(live_dir)
        manifest = Manifest(models=present.models, challengers=_without(present, model, version))
        write_manifest(live_dir, manifest)
        return manifest


def _without(manifest: Manifest, model: str, version: int | None) -> dict[str, tuple[DeployedModel, ...]]:
    """The challengers but one, or but all of a model."""
    left = tuple(one for one in manifest.challengers.get(model, ()) if version is not None and one.version != version)
    others = {name: several for name, several in manifest.challengers.items() if name != model}
    return others | ({model: left} if left else {})


def _lock(live_dir: Path) -> Path:
    """One change at a time: two promotions at once must not lose one of the models."""
    return live_dir / f".{MANIFEST}.lock"
