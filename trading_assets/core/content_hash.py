"""Content hashes that say the same on every platform, with every library version and for every engine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from hashlib import _Hash


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 over a frame's column names, types and values, in the given order of columns and rows.

    Values go in as little-endian bytes, so neither a file format nor a library's own row hash can change the result.
    All NaNs count as one value, and so do 0.0 and -0.0; a null differs from every value.
    """
    digest = hashlib.sha256(f"{frame.height} rows\n".encode())
    for column in frame.iter_columns():
        digest.update(f"{column.name}: {column.dtype}\n".encode())
        _add(digest, column)
    return digest.hexdigest()


def _add(digest: _Hash, column: pl.Series) -> None:
    digest.update(np.packbits(column.is_null().to_numpy()))
    if column.dtype == pl.String:
        filled = column.fill_null("")
        digest.update(filled.str.len_bytes().to_numpy().astype("<u4"))
        digest.update("".join(filled.to_list()).encode())
        return
    if isinstance(column.dtype, pl.List):
        digest.update(column.list.len().fill_null(0).to_numpy().astype("<u4"))
        _add(digest, column.filter(column.list.len() > 0).explode())
        return
    values = column.to_physical().fill_null(0).to_numpy()
    if column.dtype.is_float():
        values = np.where(np.isnan(values), np.nan, values + 0.0)
    digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")))
