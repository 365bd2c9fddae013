"""Content hashes that say the same on every platform and with every library version."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 over a frame's column names, types and values, in the given order of columns and rows.

    Values go in as little-endian bytes, so neither a file format nor a library's own row hash can change the result.
    All NaNs count as one value, and so do 0.0 and -0.0; a null differs from every value.
    """
    digest = hashlib.sha256(f"{frame.height} rows\n".encode())
    for column in frame.iter_columns():
        digest.update(f"{column.name}: {column.dtype}\n".encode())
        digest.update(np.packbits(column.is_null().to_numpy()))
        if column.dtype == pl.String:
            filled = column.fill_null("")
            digest.update(filled.str.len_bytes().to_numpy().astype("<u4"))
            digest.update("".join(filled.to_list()).encode())
            continue
        values = column.to_physical().fill_null(0).to_numpy()
        if column.dtype.is_float():
            values = np.where(np.isnan(values), np.nan, values + 0.0)
        digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")))
    return digest.hexdigest()
