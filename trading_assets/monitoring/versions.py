"""Which version of a model is watched, and its bundle."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models.bundle import Bundle, load
from trading_assets.registry.deployment import read_manifest
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import MODEL_VERSIONS


def watched(store: Store, settings: Settings, model: str) -> tuple[Bundle, int] | None:
    """The deployed version of a model, or else the newest one that was not rejected; None where there is none.

    Raises
    ------
    ModelError
        If the manifest or the bundle cannot be read.
    """
    live = read_manifest(settings.live_dir).models.get(model)
    if live is not None:
        return _bundle(live.folder(settings.data_dir), live.bundle_hash, settings), live.version
    known = store.read(MODEL_VERSIONS, where={"model": model}).filter(pl.col("status") != "rejected").sort("version")
    if known.is_empty():
        return None
    newest = known.row(-1, named=True)
    return _bundle(settings.bundles_dir / newest["bundle"], newest["bundle_hash"], settings), newest["version"]


def required(store: Store, settings: Settings, model: str) -> tuple[Bundle, int]:
    """As :func:`watched`.

    Raises
    ------
    ModelError
        If there is no version, or as :func:`watched`.
    """
    found = watched(store, settings, model)
    if found is None:
        raise ModelError("no version to watch", where=f"model {model}", remedy=f"trading train {model}")
    return found


def _bundle(folder: Path, bundle_hash: str, settings: Settings) -> Bundle:
    return load(folder, expected_hash=bundle_hash, plugins=settings.plugged)
