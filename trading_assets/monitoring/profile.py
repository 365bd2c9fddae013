"""The training window of a model version as a file beside its bundle: a look at a day needs no training data."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import BundleError
from trading_assets.models.bundle import Bundle
from trading_assets.monitoring.comparison import Reference
from trading_assets.monitoring.histograms import CELLS, Histograms

FILE: Final = "drift_reference.npz"
"""Beside the bundle's hashed files: it tells of a bundle and is not part of it."""

_AGAIN: Final = "remove it: it is made again from the stored training window"

type Profile = Mapping[str, Reference]
"""Kind -> its training window."""


def write(bundle: Bundle, profile: Profile) -> Path:
    """Put a profile beside its bundle, in place of an older one."""
    arrays: dict[str, Any] = {"bundle_hash": np.array(bundle.bundle_hash)}
    for kind, one in profile.items():
        arrays |= {
            f"{kind}.names": np.array(one.names, dtype=np.str_),
            f"{kind}.edges": one.edges,
            f"{kind}.first": np.array([one.training.days[0].toordinal() if one.training.days else 0]),
            f"{kind}.counts": one.training.counts,
        }
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    path = bundle.folder / FILE
    write_file(path, content.getvalue())
    return path


def read(bundle: Bundle) -> Profile | None:
    """The profile beside a bundle; None where there is none. Nothing in the file is executed.

    Raises
    ------
    BundleError
        If it is of another bundle, or damaged.
    """
    path = bundle.folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if str(arrays["bundle_hash"]) != bundle.bundle_hash:
            raise BundleError(
                f"it was made for bundle {str(arrays['bundle_hash'])[:16]}", where=str(path), remedy=_AGAIN
            )
        kinds = [name.removesuffix(".names") for name in arrays if name.endswith(".names")]
        return {kind: _reference(kind, arrays) for kind in kinds}
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, OverflowError) as error:
        raise BundleError(f"it cannot be read: {error}", where=str(path), remedy=_AGAIN) from None


def _reference(kind: str, arrays: Mapping[str, Any]) -> Reference:
    names, edges, counts = (arrays[f"{kind}.{part}"] for part in ("names", "edges", "counts"))
    shaped = counts.ndim == 3 and counts.shape[1:] == (len(names), CELLS + 1)
    if not shaped or edges.shape != (len(names), CELLS - 1):
        raise ValueError(f"{kind} has counts {counts.shape} and edges {edges.shape} of {len(names)} subjects")
    first = date.fromordinal(int(arrays[f"{kind}.first"][0])) if len(counts) else date.min
    days = tuple(first + timedelta(days=number) for number in range(len(counts)))
    told = tuple(str(name) for name in names)
    return Reference(kind, edges.astype(np.float32), Histograms(told, days, counts.astype(np.uint32)))
