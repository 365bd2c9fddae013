"""Which version may be deployed: the newest approved one, or one that somebody chose."""

from __future__ import annotations

from trading_assets.core.errors import ModelError
from trading_assets.registry.registry import Registry
from trading_assets.registry.versions import ModelVersion


def approved_version(registry: Registry, name: str, version: int, bundle_hash: str) -> ModelVersion:
    """The version that was approved, if the registry agrees.

    Raises
    ------
    ModelError
        If the registry has it otherwise, or another bundle under its number.
    """
    known = registry.get(name, version)
    if known.status in ("draft", "rejected"):
        raise ModelError(
            f"the registry does not have it as approved but as {known.status}",
            where=f"model {name} version {known.version}",
            remedy="run the job retrain for it",
        )
    if known.bundle_hash != bundle_hash:
        raise ModelError(
            f"version {known.version} of the registry is not the bundle that was approved",
            where=f"model {name}",
            remedy="was the registry replaced? run the job retrain for it",
        )
    return known


def chosen_version(registry: Registry, name: str, number: int) -> ModelVersion:
    """A version that somebody chose; it must have been approved once.

    Raises
    ------
    ModelError
        If there is none of that number, or it was never approved.
    """
    version = registry.get(name, number)
    if version.status in ("draft", "rejected"):
        raise ModelError(
            f"a version that is {version.status} is not deployed",
            where=f"model {name} version {number}",
            remedy="choose one that was approved: trading models lists them",
        )
    return version
