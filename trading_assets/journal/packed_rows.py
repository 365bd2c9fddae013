"""Feature rows as short texts: four bytes a value, so that a year of decisions fits into a journal."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import InvalidFrame


def pack(row: pl.DataFrame) -> str:
    """One row of numbers as little-endian float32 in base64; null becomes NaN."""
    return pack_values(row.row(0))


def pack_values(values: Sequence[float | None] | npt.NDArray[np.float64]) -> str:
    """What :func:`pack` makes of a row with these values."""
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()  # None is NaN


def unpack(packed: pl.Series, names: Sequence[str]) -> pl.DataFrame:
    """Packed rows as Float32 columns of these names, in their order; NaN is null.

    Raises
    ------
    InvalidFrame
        If a row has another number of values, or is no base64.
    """
    width = 4 * len(names)
    try:
        content = packed.str.decode("base64", strict=True)
    except pl.exceptions.PolarsError as error:
        raise InvalidFrame(f"not base64: {error}", where=str(packed.name)) from None
    sizes = content.bin.size("b").unique()
    if packed.null_count() or not set(sizes) <= {width}:
        raise InvalidFrame(
            f"rows of {', '.join(str((size or 0) // 4) for size in sizes)} values, {len(names)} features",
            where=str(packed.name),
            remedy="unpack each bundle's rows with that bundle's features",
        )
    values = np.frombuffer(b"".join(content), dtype="<f4").reshape(-1, len(names))
    return pl.DataFrame(values.astype(np.float32), schema=dict.fromkeys(names, pl.Float32)).fill_nan(None)
