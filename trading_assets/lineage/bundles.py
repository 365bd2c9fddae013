"""The bundle of a hash, wherever this project keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trading_assets.core.errors import ModelError
from trading_assets.models import Bundle, load
from trading_assets.registry import read_manifest
from trading_assets.settings import Settings


def bundle_of(settings: Settings, model: str, bundle_hash: str) -> Bundle:
    """Read the bundle of a journalled decision, and verify it.

    Parameters
    ----------
    settings
        Where bundles are.
    model
        Its name.
    bundle_hash
        In full, or its first 16 digits as challengers journal them.

    Raises
    ------
    ModelError
        If it is not there.
    BundleError
        If it is, and is not what its hash says.
    """
    for folder in _places(settings, model, bundle_hash):
        if folder.is_dir():
            found = load(folder, plugins=settings.plugged)
            if found.bundle_hash.startswith(bundle_hash):
                return found
    raise ModelError(
        f"the bundle {bundle_hash[:16]} that decided is not there",
        where=str(settings.bundles_dir / model),
        remedy="copy it there from where it was trained or deployed; trading models shows what is registered",
    )


def _places(settings: Settings, model: str, bundle_hash: str) -> Iterator[Path]:
    yield settings.bundles_dir / model / bundle_hash[:16]
    manifest = read_manifest(settings.live_dir)
    for deployed in (*manifest.models.values(), *(one for several in manifest.challengers.values() for one in several)):
        if deployed.bundle_hash.startswith(bundle_hash):
            yield deployed.folder(settings.data_dir)
    yield from settings.bundles_dir.glob(f"*/{bundle_hash[:16]}")
