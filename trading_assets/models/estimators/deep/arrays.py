"""Named arrays as one ``.npz`` file, read without pickle and never larger than what lies there."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import ModelError

type AnyArray = npt.NDArray[Any]

_KINDS: Final = "fb"
"""Numbers and yes or no; nothing else is an array of a model."""

_AGAIN: Final = "train it again"


def packed(arrays: Mapping[str, AnyArray]) -> bytes:
    """The file: uncompressed, without a clock, so that equal arrays are equal to the byte."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{name: np.asarray(one, order="C") for name, one in arrays.items()})
    return content.getvalue()


def unpacked(content: bytes, names: Collection[str], where: str) -> dict[str, AnyArray]:
    """The arrays of a file that holds these names and no others.

    Raises
    ------
    ModelError
        Names the file: it is cut off or something else, an array is missing, too many, of objects, or not finite.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
            if len(members) != len(archive.infolist()) or set(members) != set(names):
                raise ValueError(f"it holds {', '.join(sorted(members)) or 'nothing'}, not {', '.join(sorted(names))}")
            if any(one.compress_type != zipfile.ZIP_STORED or one.file_size > len(content) for one in members.values()):
                raise ValueError("it is compressed")  # a small file could hold more than the memory does
            arrays = {name: _array(archive.read(one), name) for name, one in members.items()}
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on what is no archive of arrays
        raise ModelError(f"these are no arrays of a model: {error}", where=where, remedy=_AGAIN) from None
    return arrays


def _array(content: bytes, name: str) -> AnyArray:
    array: AnyArray = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.kind not in _KINDS or not np.isfinite(array).all():
        raise ValueError(f"{name} does not hold finite numbers")
    return array
